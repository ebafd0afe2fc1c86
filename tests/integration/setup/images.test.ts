import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { askEngine, followEngine } from "#setup/docker-api.ts";
import { imagesToTest, readImages, type ImageName, type Images } from "#setup/image-references.ts";
import { setUpImages } from "#setup/images.ts";
import { removeOldStandIns } from "#setup/images/build.ts";
import { inspectImage } from "#setup/images/engine.ts";
import { setUpModel } from "#setup/setup.ts";
import { hostPlaces } from "#stack/places.ts";
import { host, makeVolume, removeContainer, removeLeftovers, run, testLabels } from "../../support/containers.ts";
import { describeWithDocker } from "../../support/docker.ts";
import { noOllama } from "../../support/ollama.ts";
import { Places, projectDir } from "./support.ts";

// The contracts of docs/images.md, on the images that this machine uses: official ones or stand-ins.
const { cacheDir } = hostPlaces(process.env, process.getuid?.() ?? 0);
const options = { install: true, projectDir, env: process.env, report: (line: string) => console.error(line) };
const wanted = imagesToTest(noOllama);
let images: Images;

describeWithDocker("images", () => {
  beforeAll(async () => {
    await removeLeftovers();
    images = await setUpImages(options, wanted);
  }, 600_000);
  afterAll(removeLeftovers);

  const reference = (name: ImageName) => images.references[name] ?? "";
  const shell = (script: string) => ["sh", "-euc", script];

  it("postgres makes a cluster on a new volume as 999, and selects", async () => {
    const script = `
      cd /; id -un; id -gn
      for program in od sha256sum grep tr cut psql; do command -v $program >/dev/null; done
      test "$(dirname "$(command -v postgres)")" = /usr/lib/postgresql/18/bin
      initdb --pgdata /var/lib/postgresql/18/data --username app --auth trust --no-sync >/dev/null
      postgres -D /var/lib/postgresql/18/data -k /tmp -c listen_addresses= 2>/tmp/log &
      until psql -h /tmp -U app -d postgres -c "" 2>/dev/null; do sleep 0.1; done
      psql -h /tmp -U app -d postgres -P pager=off -XAtc "show server_version; create extension citext; select 'A'::citext = 'a'"
      kill -INT $!; wait $!`;
    const volume = await makeVolume(`engineroom-test-postgres-${process.pid}`);
    const mounts = { [volume]: "/var/lib/postgresql" };
    const { code, output } = await run({
      image: reference("postgres"),
      command: shell(script),
      user: "999:999",
      mounts,
    });
    expect(output).toMatch(/^postgres\npostgres\n18\.\d+.*\nCREATE EXTENSION\nt$/);
    expect(code).toBe(0);
  });

  it("redis keeps a key on a new volume as 999", async () => {
    const script = `
      id -un; id -gn; cd /data
      valkey-server --port 0 --unixsocket /tmp/redis.sock --dir /data --save "" --appendonly yes >/tmp/log &
      until valkey-cli -s /tmp/redis.sock ping 2>/dev/null | grep -q PONG; do sleep 0.1; done
      valkey-cli -s /tmp/redis.sock set greeting hello; valkey-cli -s /tmp/redis.sock get greeting
      valkey-cli -s /tmp/redis.sock shutdown; wait $!; ls appendonlydir | grep -c aof`;
    const volume = await makeVolume(`engineroom-test-redis-${process.pid}`);
    const mounts = { [volume]: "/data" };
    const { code, output } = await run({ image: reference("redis"), command: shell(script), user: "999:999", mounts });
    expect(output).toMatch(/^valkey\nvalkey\nOK\n"?hello"?\n[1-9]$/);
    expect(code).toBe(0);
  });

  it("nginx serves as 101 from a configuration of ours, and relays streams", async () => {
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    const conf = `pid /tmp/pid; events {}
      stream { server { listen 127.0.0.1:8081; proxy_pass 127.0.0.1:8080; } }
      http { access_log off; ${temporary.map((name) => `${name}_temp_path /tmp/${name};`).join(" ")}
        server { listen 127.0.0.1:8080; location / { return 200 "it works"; } } }`;
    using directory = new Directory();
    writeFileSync(join(directory.path, "nginx.conf"), conf);
    const script = `
      id -un; id -gn
      nginx -e stderr -c /conf/nginx.conf -g "daemon off;" &
      until exec 3<>/dev/tcp/127.0.0.1/8081; do sleep 0.1; done 2>/dev/null
      printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; tail -n 1 <&3; echo
      kill -QUIT $!; wait $!`;
    const { code, output } = await run({
      image: reference("nginx"),
      command: ["bash", "-euc", script],
      user: "101:101",
      mounts: { [directory.path]: "/conf:ro" },
    });
    expect(output).toBe("nginx\nnginx\nit works");
    expect(code).toBe(0);
  });

  it("llama-server generates a token as a user without a name or a home", async () => {
    const model = await setUpModel("gemma-3-270m-q4_k_m.gguf", options);
    const script = `
      unset HOME
      /app/llama-server --model /models/gemma-3-270m-q4_k_m.gguf --ctx-size 256 --host 127.0.0.1 --port 8080 >/tmp/log 2>&1 &
      ask() { exec 3<>/dev/tcp/127.0.0.1/8080 && printf "$1" >&3 && cat <&3; }
      until ask "GET /health HTTP/1.0\\r\\n\\r\\n" 2>/dev/null | grep -q '"ok"'; do sleep 0.2; kill -0 $! || { cat /tmp/log; exit 1; }; done
      body='{"prompt":"One, two,","n_predict":1}'
      ask "POST /completion HTTP/1.0\\r\\nContent-Type: application/json\\r\\nContent-Length: \${#body}\\r\\n\\r\\n$body" | grep -o '"tokens_predicted":1,'
      kill $!; wait $!`;
    const { code, output } = await run({
      image: reference("llama-server"),
      command: ["bash", "-uc", script],
      user: "12345:12345",
      mounts: { [dirname(model)]: "/models:ro" },
    });
    expect(output).toContain('"tokens_predicted":1,');
    expect(code).toBe(0);
  });

  it.skipIf(noOllama !== undefined)(
    "ollama answers, and keeps its models on a new volume, as root without rights",
    async () => {
      const script = `
      export HOME=/root OLLAMA_MODELS=/root/.ollama/models OLLAMA_HOST=127.0.0.1:11434
      /bin/ollama serve >/tmp/log 2>&1 &
      ask() { exec 3<>/dev/tcp/127.0.0.1/11434 && printf "GET $1 HTTP/1.0\\r\\n\\r\\n" >&3 && cat <&3; }
      until ask /api/version 2>/dev/null | grep -o '"version"'; do sleep 0.2; kill -0 $! || { cat /tmp/log; exit 1; }; done
      ask /api/tags | grep -o '"models":\\[\\]'
      ls -1A /root/.ollama; kill $!; wait $!`;
      const volume = await makeVolume(`engineroom-test-ollama-${process.pid}`);
      const { code, output } = await run({
        image: reference("ollama"),
        command: ["bash", "-uc", script],
        user: "0:0",
        mounts: { [volume]: "/root/.ollama" },
      });
      expect(output).toBe('"version"\n"models":[]\nid_ed25519\nid_ed25519.pub\nmodels');
      expect(code).toBe(0);
    },
  );

  it("python makes a virtual environment as 10001, and lets pip install beside it", async () => {
    const script = `
      export HOME=/tmp
      python3 -c 'import sys, ssl, sqlite3; print(sys.version_info[:2])'; python --version >/dev/null
      python3 -m venv /tmp/venv; /tmp/venv/bin/python -m pip --version | cut -d" " -f1
      pip install --no-index nothing-of-this-name 2>&1 | grep -o "No matching distribution"`;
    const { code, output } = await run({ image: reference("python"), command: shell(script), user: "10001:10001" });
    expect(output).toBe("(3, 11)\npip\nNo matching distribution");
    expect(code).toBe(0);
  });

  it("node runs a package's script by npm", async () => {
    const script = `
      export HOME=/tmp; mkdir /tmp/app; cd /tmp/app
      echo '{"name":"app","scripts":{"build":"node -p process.versions.node"}}' >package.json
      npm install --offline --silent; npm run --silent build; npx --version >/dev/null`;
    const { code, output } = await run({ image: reference("node"), command: shell(script), user: "10001:10001" });
    expect(output).toMatch(/^24\.\d+\.\d+$/);
    expect(code).toBe(0);
  });

  it("object-store opens a new volume, as any user", async () => {
    const script = `
      versitygw --version | head -n 1
      mkdir -p /var/tmp/objects/lab
      versitygw --port 127.0.0.1:9000 --access a --secret b posix /var/tmp/objects >/tmp/log 2>&1 &
      until grep -q 127.0.0.1:9000 /tmp/log; do sleep 0.1; kill -0 $! || { cat /tmp/log; exit 1; }; done
      kill $!; wait $! || true`;
    const volume = await makeVolume(`engineroom-test-store-${process.pid}`);
    const mounts = { [volume]: "/var/tmp" };
    const command = shell(script);
    const { code, output } = await run({ image: reference("object-store"), command, user: "10001:10001", mounts });
    expect(output).toMatch(/^Version *: v1\.8\.\d+$/);
    expect(code).toBe(0);
  });

  it("mqtt keeps its data on a new volume as 1883, and knows WebSockets", async () => {
    const script = `
      printf "listener 1883 127.0.0.1\\nlistener 9001 127.0.0.1\\nprotocol websockets\\nsocket_domain ipv4\\npersistence true\\npersistence_location /mosquitto/data/\\nlog_dest stderr\\n" >/tmp/conf
      cp /tmp/conf /tmp/copy
      mosquitto -c /tmp/copy 2>/tmp/log &
      until grep -q running /tmp/log; do sleep 0.1; kill -0 $! || { cat /tmp/log; exit 1; }; done
      kill $!; wait $!; grep -o "Opening websockets listen socket" /tmp/log; ls /mosquitto/data`;
    const volume = await makeVolume(`engineroom-test-mqtt-${process.pid}`);
    const mounts = { [volume]: "/mosquitto/data" };
    const { code, output } = await run({ image: reference("mqtt"), command: shell(script), user: "1883:1883", mounts });
    expect(output).toBe("Opening websockets listen socket\nmosquitto.db");
    expect(code).toBe(0);
  });

  it("prometheus keeps its data on a new volume as 65534", async () => {
    const script = `
      echo "{}" >/tmp/prometheus.yml
      prometheus --config.file=/tmp/prometheus.yml --storage.tsdb.path=/prometheus --web.listen-address=127.0.0.1:9090 2>/tmp/log &
      until grep -q "ready to receive web requests" /tmp/log; do sleep 0.1; kill -0 $! || { cat /tmp/log; exit 1; }; done
      kill $!; wait $!; ls -d /prometheus/wal`;
    const volume = await makeVolume(`engineroom-test-prometheus-${process.pid}`);
    const mounts = { [volume]: "/prometheus" };
    const { code, output } = await run({
      image: reference("prometheus"),
      command: shell(script),
      user: "65534:65534",
      mounts,
    });
    expect(output).toBe("/prometheus/wal");
    expect(code).toBe(0);
  });

  it("are left as they are when they are there", async () => {
    const lines: string[] = [];
    const again = await setUpImages({ ...options, install: false, report: (line) => lines.push(line) }, wanted);
    expect(again).toEqual(images);
    expect(lines).toEqual([]);
    expect(readImages(cacheDir)).toEqual(images);
  });

  it("that are missing are an error where nothing may be installed", async () => {
    using places = new Places();
    const env = places.env({ ENGINEROOM_IMAGES: "packages" });
    const asked = setUpImages({ ...options, env, install: false }, ["redis"]);
    await expect(asked).rejects.toMatchObject({ code: "SETUP_MISSING", fix: "./engineroom setup --docker" });
    expect(existsSync(join(places.cacheDir, "images.json"))).toBe(false);
  });

  it("refuses a source that does not exist", async () => {
    const env = { ...process.env, ENGINEROOM_IMAGES: "dockerhub" };
    await expect(setUpImages({ ...options, env }, ["redis"])).rejects.toMatchObject({ code: "USAGE", exitCode: 2 });
  });
});

describeWithDocker("stand-ins", () => {
  const old = (digit: string) => `engineroom/nginx:00000000000${digit}`;
  const present = async (tag: string) => (await inspectImage(host, tag)) !== undefined;
  afterAll(async () => {
    await removeLeftovers();
    for (const tag of [old("0"), old("1")]) {
      if (await present(tag)) await askEngine(host, { method: "DELETE", path: `/images/${tag}` });
    }
  });

  it("carry their name and the hash of their content", async () => {
    using places = new Places();
    const env = places.env({ ENGINEROOM_IMAGES: "packages" });
    // The engine has them already where it uses them; otherwise this is what builds one.
    const { references } = await setUpImages({ ...options, env }, ["nginx"]);
    expect(Object.keys(references)).toEqual(["nginx"]);
    const tag = references.nginx ?? "";
    const found = await askEngine<{ Config: { Labels: Record<string, string> } }>(host, {
      path: `/images/${tag}/json`,
    });
    const content = /^engineroom\/nginx:([0-9a-f]{12})$/.exec(tag)?.[1];
    expect(found.Config.Labels).toEqual({ "engineroom.image": "nginx", "engineroom.content": content });
  });

  it("of earlier content go, unless a container uses them", async () => {
    const recipe = (content: string) => `FROM scratch\nLABEL engineroom.image=nginx engineroom.content=${content}\n`;
    await buildFrom(recipe("0"), old("0"));
    await buildFrom(recipe("1"), old("1"));
    const { Id } = await askEngine<{ Id: string }>(host, {
      method: "POST",
      path: "/containers/create",
      json: { Image: old("1"), Cmd: ["none"], Labels: testLabels },
    });
    const lines: string[] = [];
    const remove = () => removeOldStandIns(host, ["nginx"], (line) => lines.push(line));
    await remove();
    expect([await present(old("0")), await present(old("1"))]).toEqual([false, true]);
    await removeContainer(Id);
    await remove();
    expect(await present(old("1"))).toBe(false);
    expect(lines).toEqual([old("0"), old("1")].map((tag) => `image ${tag}: removed, nothing uses it any more`));
  });

  it("whose build fails are an error, although the engine's answer began well", async () => {
    await expect(buildFrom("FROM scratch\nCOPY nothing /\n", old("0"))).rejects.toThrow(/COPY failed.*nothing/);
  });
});

/** A build of a Dockerfile alone, the way set-up builds. */
async function buildFrom(dockerfile: string, tag: string): Promise<void> {
  const { execa } = await import("execa");
  using directory = new Directory();
  writeFileSync(join(directory.path, "Dockerfile"), dockerfile);
  const tar = await execa("tar", ["-cf", "-", "-C", directory.path, "Dockerfile"], { encoding: "buffer" });
  const body = Readable.from([tar.stdout]);
  await followEngine(host, { method: "POST", path: "/build", query: { t: tag, forcerm: "1" }, body }, () => undefined);
}

/** A directory that every user may read. */
class Directory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "engineroom-images-"));

  constructor() {
    chmodSync(this.path, 0o755);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
