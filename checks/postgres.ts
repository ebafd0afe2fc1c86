import { Socket } from "node:net";
import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { redact } from "#checks/explain.ts";
import { judgeNoAnswer, noAnswer } from "#checks/network.ts";
import type { NoAnswer } from "#checks/network.ts";
import { readPasswordFile } from "#checks/password.ts";

type PostgresCheck = CheckOf<"postgres">;

/** How a PostgreSQL server can begin: authentication, error, notice, protocol version. */
const FIRST_ANSWERS = "RENv";

export type PostgresEvidence = { readonly value: unknown } | { readonly error: NoAnswer };

export async function probePostgres(check: PostgresCheck, signal: AbortSignal): Promise<Outcome> {
  const password = await readPasswordFile(check.passwordFile);
  if ("outcome" in password) return password.outcome;
  return judgePostgres(check, await selectOne(check, password.text, signal));
}

export function judgePostgres(check: PostgresCheck, evidence: PostgresEvidence): Outcome {
  const where = `${check.host}:${check.port}`;
  if (!("error" in evidence)) {
    const { value } = evidence;
    return value === 1
      ? ready(`${where} selected a row as ${check.user} in ${check.database}`)
      : pending(`${where}: select 1 gave ${JSON.stringify(value)}`);
  }
  const { code, message } = evidence.error;
  switch (code) {
    case "28P01":
    case "28000":
    case "SASL":
      return failed(`${where} refused the login of ${check.user}: ${message}`, loginFix(check));
    case "3D000":
      return failed(`${where}: ${message}`, `create it, or correct \`database\`: expected ${check.database}`);
    case "NOT_POSTGRES":
      return failed(
        `another program answers on ${where}: its answer is not in the PostgreSQL protocol`,
        `see who listens: ss -ltnp 'sport = :${check.port}'`,
      );
    default:
      // Among them 57P03: the server is starting up, recovering or shutting down.
      return judgeNoAnswer(where, evidence.error);
  }
}

function loginFix({ user, passwordFile }: PostgresCheck): string {
  return passwordFile === undefined
    ? "declare the password that it asks for"
    : `declare the password of the role ${user}: ${passwordFile} holds another`;
}

async function selectOne(check: PostgresCheck, password: string, signal: AbortSignal): Promise<PostgresEvidence> {
  const { default: pg } = await import("pg");
  const socket = new Socket();
  const client = new pg.Client({
    host: check.host,
    port: check.port,
    user: check.user,
    database: check.database,
    // As a function, or an empty one would be replaced by PGPASSWORD or the user's own password file.
    password: () => password,
    ssl: false,
    application_name: "engineroom check",
    stream: () => socket,
  });
  const abort = () => {
    socket.destroy(new Error("aborted"));
  };
  const seen = { foreign: false };
  socket.once("data", (bytes: Buffer) => {
    seen.foreign = !FIRST_ANSWERS.includes(String.fromCharCode(bytes[0] ?? 0));
    if (seen.foreign) socket.destroy(new Error("not PostgreSQL"));
  });
  // After the answer the server may still end the connection its own way.
  client.on("error", () => undefined);
  signal.addEventListener("abort", abort);
  try {
    await client.connect();
    const { rows } = await client.query<{ value: unknown }>("select 1 as value");
    return { value: rows[0]?.value };
  } catch (error) {
    const { code, message } = noAnswer(error, signal);
    // The password exchange fails on this side, without a code, when there is no password to exchange.
    const kind = seen.foreign ? "NOT_POSTGRES" : message.startsWith("SASL:") ? "SASL" : code;
    return { error: { code: kind, message: redact(message, [password]) } };
  } finally {
    signal.removeEventListener("abort", abort);
    socket.destroy();
  }
}
