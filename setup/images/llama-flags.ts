import { flagsIn, flagsOfImage, rememberFlags } from "#checks/llama-flags.ts";
import { askEngine, askEngineText } from "#setup/docker-api.ts";

const HELP_MS = 60_000;

/** Notes which flags the image's llama-server has, in a container without network that is gone afterwards. */
export async function noteImageFlags(host: string, reference: string, cacheFile: string): Promise<void> {
  if (await flagsOfImage(reference, cacheFile)) return;
  const signal = AbortSignal.timeout(HELP_MS);
  const { Id } = await askEngine<{ readonly Id: string }>(host, {
    method: "POST",
    path: "/containers/create",
    json: {
      Image: reference,
      Entrypoint: ["/app/llama-server"],
      Cmd: ["--help"],
      // What a terminal gets is plain text; without one the engine puts a header before each piece.
      Tty: true,
      HostConfig: { NetworkMode: "none", ReadonlyRootfs: true, CapDrop: ["ALL"] },
    },
    signal,
  });
  const path = `/containers/${Id}`;
  try {
    await askEngineText(host, { method: "POST", path: `${path}/start`, signal });
    await askEngineText(host, { method: "POST", path: `${path}/wait`, signal });
    const help = await askEngineText(host, { path: `${path}/logs`, query: { stdout: "1" }, signal });
    const flags = flagsIn(help.replaceAll("\r", ""));
    if (flags.length > 0) await rememberFlags(reference, flags, cacheFile);
  } finally {
    await askEngineText(host, { method: "DELETE", path, query: { force: "1", v: "1" } });
  }
}
