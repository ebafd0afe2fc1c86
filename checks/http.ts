import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { ask, jsonObject, shownUrl } from "#checks/http-get.ts";
import type { HttpAnswer, HttpEvidence } from "#checks/http-get.ts";
import { judgeNoAnswer } from "#checks/network.ts";

type HttpCheck = CheckOf<"http">;

/** Client errors that time can mend; any other 4xx is a wrong address or a missing right. */
const PASSING = new Set([408, 425, 429]);

export async function probeHttp(check: HttpCheck, signal: AbortSignal): Promise<Outcome> {
  return judgeHttp(check, await ask({ url: check.url, signal, wantBody: check.json !== undefined }));
}

export function judgeHttp(check: HttpCheck, evidence: HttpEvidence): Outcome {
  const where = shownUrl(check.url);
  if ("error" in evidence) {
    const { code, message } = evidence.error;
    if (code === "ERR_INVALID_URL" || code === "ERR_INVALID_PROTOCOL")
      return failed(`${where}: expected an http:// or https:// address`, "name the health path in `health`");
    if (code === "HPE_INVALID_CONSTANT" || code === "HPE_INVALID_VERSION")
      return failed(`${where} answered, but not in HTTP: another program has the port`, portFix(check.url));
    if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code))
      return failed(`${where} has a certificate that is not trusted here (${code})`, "set NODE_EXTRA_CA_CERTS");
    return judgeNoAnswer(where, { code, message });
  }
  const { status } = evidence;
  const expected = check.status ?? 200;
  if (status >= 500 && status !== expected) return pending(`${where} answered ${status}`);
  return judgeIdentity(check, evidence) ?? judgeStatus(check, evidence, expected) ?? judgeBody(check, evidence);
}

/** The header that proves who answers. Something else on the port stays something else. */
function judgeIdentity(check: HttpCheck, { headers }: HttpAnswer): Outcome | undefined {
  if (check.header === undefined) return undefined;
  const { name, value } = check.header;
  const got = headers[name.toLowerCase()];
  if (got === value) return undefined;
  const words = got === undefined ? "did not send it" : `sent ${JSON.stringify(short(String(got)))}`;
  return failed(
    `another program answers on ${shownUrl(check.url)}: expected the header ${name}: ${value}, but it ${words}`,
    portFix(check.url),
  );
}

function judgeStatus(check: HttpCheck, { status, headers }: HttpAnswer, expected: number): Outcome | undefined {
  const where = shownUrl(check.url);
  if (status >= 300 && status < 400)
    return failed(
      `${where} redirects (${status}) to ${shownLocation(headers.location, check.url)}`,
      "name a path in `health` that answers by itself",
    );
  if (status === expected) return undefined;
  const words = `${where} answered ${status}, expected ${expected}`;
  if (status === 401 || status === 403) return failed(words, "name a path in `health` that needs no login");
  if (status >= 400 && !PASSING.has(status)) return failed(words, "correct the path in `health`");
  return pending(words);
}

function judgeBody(check: HttpCheck, { status, body, headers }: HttpAnswer): Outcome {
  const where = shownUrl(check.url);
  const pairs = Object.entries(check.json ?? {});
  if (pairs.length === 0) return ready(`${where} answered ${status}`);
  const got = jsonObject(body);
  // The body itself is not shown: an error page may hold anything.
  if (got === undefined)
    return pending(`${where} answered ${status} with ${headers["content-type"] ?? "a body"} that is no JSON object`);
  const wrong = pairs.find(([key, value]) => got[key] !== value);
  if (wrong !== undefined) {
    const [key, value] = wrong;
    return pending(`${where}: expected "${key}": ${JSON.stringify(value)}, got ${shownValue(got[key])}`);
  }
  return ready(`${where} answered ${status} with ${pairs.map(([k, v]) => `"${k}": ${JSON.stringify(v)}`).join(", ")}`);
}

function portFix(url: string): string {
  const { port, protocol } = new URL(url);
  return `see who listens: ss -ltnp 'sport = :${port || (protocol === "https:" ? "443" : "80")}'`;
}

function shownLocation(location: string | undefined, base: string): string {
  if (location === undefined) return "nowhere";
  return URL.canParse(location, base) ? shownUrl(new URL(location, base).href) : "an address that is no URL";
}

function shownValue(value: unknown): string {
  if (value === undefined) return "no such key";
  return typeof value === "object" && value !== null ? "an object or a list" : short(JSON.stringify(value));
}

const short = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}...` : text);
