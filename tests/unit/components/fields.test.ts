import { beforeAll, describe, expect, it } from "vitest";
import type { z } from "zod";
import { catalog } from "#components/catalog.ts";
import type { LoadContext, RawStack, SourceContent } from "#stack/load.ts";
import { loadStack } from "#stack/load.ts";
import { projectPlaces, stackPlaces } from "#stack/places.ts";
import { modelSettings, stackSettings } from "#stack/schema.ts";
import { changed } from "#tests/support/change.ts";
import {
  containedFields,
  containedModel,
  containedSecret,
  containedSettings,
} from "#tests/support/contained-fields.ts";
import { modelFields, secretFields, serviceFields, settingsFields, type Rows } from "#tests/support/fields.ts";
import { register, worldOf } from "#tests/support/registered.ts";
import { context as plain, source } from "#tests/support/stack.ts";
import type { Sections } from "#tests/support/test-stack.ts";
import { imageFields } from "#tests/support/image-fields.ts";
import { containedStack, imageStack, wholeStack, type Ground } from "#tests/support/whole-stack.ts";

// Proves what would be handed to the engine; tests/e2e/preview-fields.test.ts asks the engine itself.

const ground: Ground = {
  app: "./examples/apps/api",
  otherApp: "./other",
  jobs: "./examples/apps/worker",
  pages: "./examples/apps/web",
  otherPages: "./pages",
  modelsDir: "./models",
  otherModelsDir: "./more",
  model: "gemma.gguf",
  otherModel: "other.gguf",
  modelSha256: "a".repeat(64),
  portOffset: 100,
  ports: [7000, 7001],
};

const at = (name: string, kind: SourceContent["kind"], requirements?: string): [string, SourceContent] => [
  `./${name}`,
  source(`/home/me/lab/${name}`, kind, {
    hash: Buffer.from(name.padEnd(32)).toString("hex"),
    ...(requirements !== undefined && { requirements }),
  }),
];
const context: LoadContext = {
  ...plain,
  sources: new Map([
    at("examples/apps/api", "python", "c".repeat(64)),
    at("other", "python"),
    at("examples/apps/worker", "python"),
    at("examples/apps/web", "node"),
    at("pages", "node"),
  ]),
};

function contextOf(raw: RawStack): LoadContext {
  const { id } = raw.settings as { id?: string };
  if (id === undefined) return context;
  return { ...context, places: stackPlaces(context.host, projectPlaces(context.host, "/home/me/lab", id), "test") };
}

type Inputs = ReadonlyMap<string, string>;

/** Of all but components, which have none: they come and go with a service that is switched on and off. */
async function inputsOf(raw: RawStack): Promise<Inputs> {
  const registered = [...(await register(worldOf(raw, contextOf(raw)))).values()];
  return new Map(
    registered
      .filter(({ type }) => !type.startsWith("engineroom:service:"))
      .map(({ type, name, inputs }) => [name, JSON.stringify([type, inputs])]),
  );
}

/** Resources that are not the same in both. */
const difference = (before: Inputs, after: Inputs): readonly string[] =>
  [...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name)).sort();

beforeAll(() => {
  process.env["FIELDS_TOKEN"] = "one";
  process.env["FIELDS_OTHER_TOKEN"] = "two";
  // Pulumi takes a stack trace for each property of each resource.
  Error.stackTraceLimit = 0;
});

interface Stack {
  readonly raw: Omit<Sections, "services"> & {
    readonly services: Readonly<Record<string, { readonly kind: string }>>;
  };
  readonly services: Readonly<Record<string, Rows>>;
  readonly settings?: Rows;
  readonly model?: Rows;
  readonly secret?: Rows;
}

const onHost: Stack = {
  raw: wholeStack(ground),
  services: serviceFields(ground),
  settings: settingsFields(ground),
  model: modelFields(ground),
  secret: secretFields,
};
const inContainers: Stack = {
  raw: containedStack(ground),
  services: containedFields(ground),
  settings: containedSettings(ground),
  model: containedModel(ground),
  secret: containedSecret,
};

const ofImages: Stack = { raw: imageStack(ground), services: imageFields(ground) };

const fieldsOf = (schema: z.ZodType): readonly string[] =>
  Object.keys((schema as unknown as { readonly shape: object }).shape).sort();

describe.each([
  ["on the host", onHost],
  ["in containers", inContainers],
  ["of images alone", ofImages],
])("%s:", (_where, stack) => {
  let before: Inputs;
  beforeAll(async () => {
    before = await inputsOf(stack.raw);
  });

  function testRows(rows: Rows, pathOf: (field: string) => readonly string[]): void {
    const cases = Object.entries(rows).flatMap(([field, row]) => ("fixed" in row ? [] : [[field, row] as const]));
    it.each(cases)("%s changes exactly what must follow", async (field, { value, changes, refused }) => {
      const raw = changed(stack.raw, pathOf(field), value);
      if (refused !== undefined) {
        const loaded = loadStack(raw, context);
        // One problem for each service that it concerns.
        expect("problems" in loaded && [...new Set(loaded.problems.map(({ code }) => code))]).toEqual([refused]);
        return;
      }
      expect(difference(before, await inputsOf(raw))).toEqual([...new Set(changes)].sort());
    });
  }

  describe("the stack", () => {
    it("has a service of every kind", () =>
      expect(
        Object.values(stack.raw.services)
          .map(({ kind }) => kind)
          .sort(),
      ).toEqual(
        Object.entries(catalog)
          .flatMap(([name, kind]) => (Boolean(kind.imageOnly) === (stack === ofImages) ? [name] : []))
          .sort(),
      ));

    it("changes nothing by itself", async () => expect(difference(before, await inputsOf(stack.raw))).toEqual([]));
  });

  describe.each(Object.entries(stack.services))("a field of %s", (service, rows) => {
    const { kind } = stack.raw.services[service]!;
    it(`has a row: ${kind}`, () => expect(Object.keys(rows).sort()).toEqual(fieldsOf(catalog[kind]!.settings)));
    testRows(rows, (field) => ["services", service, field]);
  });

  const { settings, model, secret } = stack;
  if (!settings || !model || !secret) return;
  describe("a field of the settings", () => {
    it("has a row", () => expect(Object.keys(settings).sort()).toEqual(fieldsOf(stackSettings)));
    testRows(settings, (field) => ["settings", field]);
  });

  describe("a field of a model", () => {
    it("has a row", () => expect(Object.keys(model).sort()).toEqual(fieldsOf(modelSettings)));
    testRows(model, (field) => ["models", "gemma", field]);
  });

  describe("another source of a secret", () => testRows(secret, () => ["secrets", "token"]));
});
