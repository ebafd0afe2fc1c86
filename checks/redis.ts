import { randomUUID } from "node:crypto";
import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { redact } from "#checks/explain.ts";
import { judgeNoAnswer, noAnswer } from "#checks/network.ts";
import type { NoAnswer } from "#checks/network.ts";
import { readPasswordFile } from "#checks/password.ts";
import { followResp, NotResp, RespError } from "#checks/resp.ts";
import type { Reply } from "#checks/resp.ts";

type RedisCheck = CheckOf<"redis">;
type Place = Pick<RedisCheck, "host" | "port" | "passwordFile">;

/** Seconds after which a key that no attempt removed is gone by itself. */
const KEY_SECONDS = 30;

export interface RedisAnswers {
  readonly token: string;
  readonly info: Reply;
  readonly set: Reply;
  readonly get: Reply;
}

export async function probeRedis(check: RedisCheck, signal: AbortSignal): Promise<Outcome> {
  const token = randomUUID();
  const key = `engineroom:check:${token}`;
  const result = await askRedis(check, signal, [
    ["INFO", "memory"],
    ["SET", key, token, "EX", String(KEY_SECONDS)],
    ["GET", key],
    ["DEL", key],
  ]);
  if ("outcome" in result) return result.outcome;
  const [info = null, set = null, get = null] = result.replies;
  return judgeRedis(check, { token, info, set, get });
}

export function judgeRedis(check: RedisCheck, { token, info, set, get }: RedisAnswers): Outcome {
  const where = `${check.host}:${check.port}`;
  for (const reply of [set, get, info]) if (reply instanceof RespError) return judgeRespError(check, reply);
  if (get !== token) return pending(`${where}: a key that was just set reads back as something else`);
  const policy = typeof info === "string" ? /^maxmemory_policy:(\S+)/m.exec(info)?.[1] : undefined;
  if (policy !== check.policy)
    return failed(
      `${where}: expected the eviction policy ${check.policy}, got ${policy ?? "none"}`,
      `set maxmemory-policy ${check.policy} in its configuration, or change \`role\``,
    );
  return ready(`${where} kept and gave back a key, eviction policy ${policy}`);
}

type Answer = { readonly replies: readonly Reply[] } | { readonly outcome: Outcome };

/** Logs in where there is a password and asks. A refused login is an outcome, not a list of replies. */
export const askRedis = (
  place: Place,
  signal: AbortSignal,
  commands: readonly (readonly string[])[],
): Promise<Answer> => followRedis(place, signal, commands, (replies) => replies.length >= commands.length);

/** The same until `isDone`, which sees the replies so far after each one. */
export async function followRedis(
  place: Place,
  signal: AbortSignal,
  commands: readonly (readonly string[])[],
  isDone: (replies: readonly Reply[]) => boolean,
): Promise<Answer> {
  const { host, port, passwordFile } = place;
  const password = await readPasswordFile(passwordFile);
  if ("outcome" in password) return password;
  const login = password.text === "" ? [] : [["AUTH", password.text]];
  try {
    const replies = await followResp({ host, port, signal, commands: [...login, ...commands] }, (all) =>
      all.length > login.length ? isDone(all.slice(login.length)) : false,
    );
    const refused = replies.slice(0, login.length).find((reply) => reply instanceof RespError);
    if (refused === undefined) return { replies: replies.slice(login.length) };
    return { outcome: judgeRespError(place, new RespError(redact(refused.message, [password.text]))) };
  } catch (error) {
    return { outcome: judgeRedisTrouble(place, error instanceof NotResp ? error : noAnswer(error, signal)) };
  }
}

export function judgeRedisTrouble({ host, port }: Place, trouble: NotResp | NoAnswer): Outcome {
  const where = `${host}:${port}`;
  if (!(trouble instanceof NotResp)) return judgeNoAnswer(where, trouble);
  return failed(
    `another program answers on ${where}: its answer is not in the Redis protocol`,
    `see who listens: ss -ltnp 'sport = :${port}'`,
  );
}

export function judgeRespError({ host, port, passwordFile }: Place, { code, message }: RespError): Outcome {
  const where = `${host}:${port}`;
  if (code === "NOAUTH" || code === "WRONGPASS" || code === "NOPERM")
    return failed(
      `${where} refused the login: ${message}`,
      passwordFile === undefined
        ? "declare the password that it asks for"
        : `declare the password that it was started with: ${passwordFile} holds another`,
    );
  // Older servers say it with ERR.
  if (/without any password|no password is set/.test(message))
    return failed(
      `${where} has no password set, but one is declared`,
      "restart it with the configuration that sets one",
    );
  if (code === "DENIED" || code === "READONLY") return failed(`${where}: ${message}`, "see the server's configuration");
  return pending(`${where}: ${message}`);
}
