import { UserError } from "#cli/errors.ts";
import type { StackPlan } from "#stack/plan.ts";
import { nearest } from "#stack/problems.ts";

/** The services that were named, in the order of the plan; all where none was. Throws on a name that is not there. */
export function chooseServices(names: readonly string[], plan: StackPlan): StackPlan["services"] {
  const known = plan.services.map((service) => service.name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw unknownServices(unknown, known, plan.disabled);
  return names.length === 0 ? plan.services : plan.services.filter((service) => names.includes(service.name));
}

function unknownServices(unknown: readonly string[], known: readonly string[], disabled: readonly string[]): UserError {
  const off = unknown.filter((name) => disabled.includes(name));
  const got = unknown.map((name) => (off.includes(name) ? `\`${name}\`, which is disabled` : `\`${name}\``)).join(", ");
  const similar = unknown.flatMap((name) => (off.includes(name) ? [] : (nearest(name, known) ?? [])));
  const fixes = [
    ...(similar.length > 0 ? [`did you mean ${similar.map((name) => `\`${name}\``).join(", ")}?`] : []),
    ...off.map((name) => `set services.${name}.enabled to true, then ./engineroom up`),
  ];
  return new UserError("SERVICE_UNKNOWN", `service: expected one of ${known.join(", ")}, got ${got}.`, {
    exitCode: 2,
    fix: fixes.length > 0 ? fixes.join(" ") : "./engineroom plan lists them",
  });
}
