#!/bin/bash
# What compose has the engine ask: the unit of work of our own check of that kind, by bash alone, which starts faster
# than curl or Python. Usage: health.sh KIND PORT [ARGUMENT]...
set -u
kind=$1 port=$2
home=/run/engineroom

connect() { exec 3<>"/dev/tcp/$1/$2" || exit 1; }

expect() {
  read -rt 5 line <&3
  [[ $line == "$1"$'\r' ]] || exit 1
}

expect_status() {
  read -rt 10 _ status _ <&3
  [[ $status == "$1" ]]
}

case $kind in
  http)
    connect 127.0.0.1 "$port"
    printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$3" >&3
    expect_status "$4"
    ;;
  llama-server)
    connect 127.0.0.1 "$port"
    body='{"prompt":"1","n_predict":1,"cache_prompt":false}'
    printf 'POST /completion HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n' >&3
    printf 'Content-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' "${#body}" "$body" >&3
    expect_status 200
    ;;
  postgres)
    PGPASSWORD=$(<"$home/password") exec psql -h 127.0.0.1 -p "$port" -U "$3" -d "$4" -qtAc 'select 1'
    ;;
  redis)
    connect 127.0.0.1 "$port"
    printf '%s\r\n' "AUTH $(<"$home/password")" 'SET health 1 EX 30' 'GET health' 'DEL health' >&3
    for reply in +OK +OK '$1' 1 :1; do expect "$reply"; done
    ;;
  dramatiq-worker)
    . "$home/env.sh"
    url=${REDIS_URL#redis://:}
    broker=${url#*@} broker=${broker%%/*}
    connect "${broker%:*}" "${broker#*:}"
    printf '%s\r\n' "AUTH ${url%%@*}" "ZCOUNT $3:__heartbeats__ $((EPOCHSECONDS - 15))000 +inf" >&3
    expect +OK
    expect ":$4"
    ;;
  *)
    exit 2
    ;;
esac
