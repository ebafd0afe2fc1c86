import type { EnvHttpProxyAgent, Response } from "undici";
import type { LockedImage } from "#setup/images/lock.ts";

/** Every form that a tag may stand for; the lists of several platforms first. */
const manifests = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

const answerWithinMs = 10_000;

/**
 * Asks registries what each tag stands for now.
 *
 * @param mirror see `lockedReference`.
 * @throws where one does not answer, or has no such tag.
 */
export async function currentDigests(images: readonly LockedImage[], mirror?: string): Promise<readonly string[]> {
  const { EnvHttpProxyAgent } = await import("undici");
  const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: 4_000 } });
  try {
    return await Promise.all(images.map((image) => digestOf(addressOf(image, mirror), dispatcher)));
  } finally {
    await dispatcher.destroy();
  }
}

interface Address {
  /** `https://registry-1.docker.io` */
  readonly origin: string;
  readonly repository: string;
  readonly tag: string;
}

function addressOf({ repository, tag }: LockedImage, mirror?: string): Address {
  const [, ownHost = "", path = ""] = /^([^/]+)\/(.+)$/.exec(repository) ?? [];
  const [, host = ownHost, prefix = ""] = /^([^/]+)\/?(.*?)\/?$/.exec(mirror ?? "") ?? [];
  // The registry of docker.io has another name than its images.
  const server = host === "docker.io" ? "registry-1.docker.io" : host;
  // Engines speak HTTP to this machine only.
  const scheme = /^(localhost|127\.[\d.]+)(:\d+)?$/.test(server) ? "http" : "https";
  return { origin: `${scheme}://${server}`, repository: prefix === "" ? path : `${prefix}/${path}`, tag };
}

async function digestOf({ origin, repository, tag }: Address, dispatcher: EnvHttpProxyAgent): Promise<string> {
  const url = `${origin}/v2/${repository}/manifests/${tag}`;
  const head = (headers: Record<string, string>) => get(url, dispatcher, { method: "HEAD", headers });
  let response = await head({ accept: manifests });
  if (response.status === 401) {
    const token = await tokenFor(response.headers.get("www-authenticate") ?? "", dispatcher);
    response = await head({ accept: manifests, authorization: `Bearer ${token}` });
  }
  const digest = response.headers.get("docker-content-digest") ?? "";
  if (response.ok && /^sha256:[0-9a-f]{64}$/.test(digest)) return digest;
  throw new Error(`${url} answered ${response.status}${response.ok ? ", with no digest" : ""}`);
}

/** Anonymous: what anybody may pull. */
async function tokenFor(challenge: string, dispatcher: EnvHttpProxyAgent): Promise<string> {
  const fields: Readonly<Partial<Record<string, string>>> = Object.fromEntries(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]),
  );
  const { realm, error: _, ...query } = fields;
  if (!/^bearer /i.test(challenge) || realm === undefined || !URL.canParse(realm)) {
    throw new Error(`expected a registry that hands out tokens to anybody, got ${challenge || "no challenge"}`);
  }
  const url = new URL(realm);
  for (const [name, value = ""] of Object.entries(query)) url.searchParams.set(name, value);
  const response = await get(url.href, dispatcher, {});
  const answer = response.ok ? ((await response.json()) as { token?: string; access_token?: string }) : {};
  const token = answer.token ?? answer.access_token;
  if (token === undefined) throw new Error(`${url.origin} answered ${response.status}, with no token`);
  return token;
}

async function get(url: string, dispatcher: EnvHttpProxyAgent, options: object): Promise<Response> {
  const { fetch } = await import("undici");
  try {
    return await fetch(url, { ...options, dispatcher, signal: AbortSignal.timeout(answerWithinMs) });
  } catch (error) {
    // fetch says only "fetch failed"; its cause has the reason.
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new Error(`${url}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause: error });
  }
}
