import { describe, expect, it } from "vitest";
import { filesDir, imageBuildPlan, networkPlan } from "#stack/containers.ts";
import { context, readable } from "#tests/support/stack.ts";

const { places } = context;
const BASE = { python: "python:3", node: "node:24", nginx: "nginx:1" };

describe("the network", () => {
  it("follows from the owner, so that its gateway is known before it is there", () =>
    expect(networkPlan(places, {})).toEqual({
      name: "engineroom-test",
      subnet: "10.103.120.0/24",
      gateway: "10.103.120.1",
    }));

  it("of another stack is another", () =>
    expect(networkPlan({ ...places, stack: "other", owner: "lab/other" }, {})).toEqual({
      name: "engineroom-other",
      subnet: "10.86.222.0/24",
      gateway: "10.86.222.1",
    }));

  it("is what the settings say", () =>
    expect(networkPlan(places, { networkName: "mine", subnet: "10.7.0.0/16" })).toEqual({
      name: "mine",
      subnet: "10.7.0.0/16",
      gateway: "10.7.0.1",
    }));
});

it("a container's files lie below a directory of its own", () =>
  expect(readable(filesDir(places, "db"))).toBe("CONTAINERS/db/private/files"));

describe("an application's image", () => {
  const app = { kind: "python", dockerfile: false, path: "/home/me/lab/apps/api", hash: "a".repeat(64) } as const;
  const build = (source: object = {}, base: object = {}, name = "api", where: object = {}) =>
    readable(
      imageBuildPlan(
        name,
        { ...app, ...source },
        { ...BASE, ...base },
        {
          places: { ...places, ...where },
          cacheDir: context.host.cacheDir,
        },
      ),
    );

  it("of Python is this", () =>
    expect(build()).toMatchInlineSnapshot(`
      {
        "context": "CACHE/builds/image-api-01bfda31f616/context",
        "dockerfile": "FROM python:3
      RUN python3 -m venv /opt/venv && install -d -o 10001 -g 10001 /data
      ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
      WORKDIR /app
      COPY requirements.tx[t] pyproject.tom[l] ./
      RUN --mount=type=secret,id=certificates,target=/run/certificates.pem if [ -s /run/certificates.pem ]; then export PIP_CERT=/run/certificates.pem SSL_CERT_FILE=/run/certificates.pem NODE_EXTRA_CA_CERTS=/run/certificates.pem; fi; \\
        if [ -f requirements.txt ]; then pip install --no-cache-dir --disable-pip-version-check -r requirements.txt; fi
      COPY . .
      RUN --mount=type=secret,id=certificates,target=/run/certificates.pem if [ -s /run/certificates.pem ]; then export PIP_CERT=/run/certificates.pem SSL_CERT_FILE=/run/certificates.pem NODE_EXTRA_CA_CERTS=/run/certificates.pem; fi; \\
        if [ ! -f requirements.txt ]; then pip install --no-cache-dir --disable-pip-version-check .; fi \\
        && python3 -m compileall -q /opt/venv /app
      ",
        "key": "api-01bfda31f616",
        "kind": "python",
        "reference": "engineroom-lab-test/api:01bfda31f616",
        "resource": "image-apps/api",
        "source": "PROJECT/apps/api",
      }
    `));

  it("of pages is this", () =>
    expect(build({ kind: "node" }).dockerfile).toMatchInlineSnapshot(`
      "FROM node:24 AS build
      WORKDIR /app
      COPY package*.json ./
      RUN --mount=type=secret,id=certificates,target=/run/certificates.pem if [ -s /run/certificates.pem ]; then export PIP_CERT=/run/certificates.pem SSL_CERT_FILE=/run/certificates.pem NODE_EXTRA_CA_CERTS=/run/certificates.pem; fi; npm ci --no-audit --no-fund
      COPY . .
      RUN npm run build && test -d dist
      FROM nginx:1
      COPY --from=build /app/dist /app/dist
      "
    `));

  it("of a directory's own Dockerfile is what that says, whatever else lies there", () => {
    for (const kind of ["python", "node", "dockerfile"]) {
      expect(build({ kind, dockerfile: true })).toMatchObject({ kind: "dockerfile", dockerfile: "" });
    }
  });

  it.each<[string, object, object]>([
    ["its source", { hash: "b".repeat(64) }, {}],
    ["the image below", {}, { python: "python:4" }],
    ["how it is made", { kind: "node" }, {}],
    ["a Dockerfile of its own", { dockerfile: true }, {}],
  ])("is another when another is: %s", (_what, source, base) => {
    const { key, reference, context: directory } = build(source, base);
    expect(key).not.toBe(build().key);
    expect(reference).not.toBe(build().reference);
    expect(directory).not.toBe(build().context);
  });

  it("of Python does not care which image pages are served from", () =>
    expect(build({}, { node: "node:99", nginx: "nginx:99" })).toEqual(build()));

  it("belongs to its stack alone", () => {
    const of = (where: object): string => build({}, {}, "api", where).reference.split(":")[0] ?? "";
    expect([of({}), of({ stack: "two" }), of({ id: "other" })]).toEqual([
      "engineroom-lab-test/api",
      "engineroom-lab-two/api",
      "engineroom-other-test/api",
    ]);
  });

  it.each([
    ["My App", "engineroom-lab-test/my-app"],
    ["app_.v2", "engineroom-lab-test/app-v2"],
    ["-x-", "engineroom-lab-test/x"],
    ["Ü", "engineroom-lab-test/application"],
  ])("of a directory %s has a name that an engine takes", (name, repository) => {
    const { reference, resource } = build({}, {}, name);
    expect(reference).toMatch(new RegExp(`^${repository}:[0-9a-f]{12}$`));
    expect(resource).toBe("image-apps/api");
  });
});
