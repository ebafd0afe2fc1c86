import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import type { Sections } from "./test-stack.ts";

/** The file of one of the systems as it stands, but for settings that are the test's own, by service. */
export function systemSections(
  system: string,
  settings: object,
  services: Readonly<Record<string, object>>,
): Sections & { readonly services: Readonly<Record<string, Record<string, unknown>>> } {
  const text = readFileSync(join(dirname(dirname(import.meta.dirname)), `Pulumi.${system}.yaml`), "utf8");
  const { config } = parse(text) as { readonly config: Readonly<Record<string, Record<string, object>>> };
  const { settings: own, ...rest } = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace("engineroom:", ""), value]),
  );
  const whole = Object.entries(config["engineroom:services"] ?? {});
  return {
    ...rest,
    settings: { ...own, ...settings },
    services: Object.fromEntries(whole.map(([name, service]) => [name, { ...service, ...services[name] }])),
  };
}

/** Of what others run: nothing of the file's own service is left. */
export const withExternal = (
  sections: ReturnType<typeof systemSections>,
  externals: Readonly<Record<string, Record<string, unknown>>>,
): ReturnType<typeof systemSections> => ({
  ...sections,
  services: {
    ...sections.services,
    ...Object.fromEntries(
      Object.entries(externals).map(([name, more]) => [
        name,
        { kind: sections.services[name]?.["kind"], in: "external", ...more },
      ]),
    ),
  },
});
