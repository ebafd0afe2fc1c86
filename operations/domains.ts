import { lookup } from "node:dns/promises";
import { setTimeout as wait } from "node:timers/promises";
import type { ServicePlan } from "#stack/plan.ts";
import type { Problem } from "#stack/problems.ts";
import { printable } from "#stack/text.ts";

/** What a domain resolves to; undefined where nobody knows it. */
export interface Domain {
  readonly domain: string;
  readonly address: string | undefined;
}

/** How long a name server may think. */
const LOOKUP_MS = 3000;

/** The stack's domains, with what this machine makes of them. Names below `localhost` are this machine by themselves. */
export function domains(
  services: readonly ServicePlan[],
  resolve: (name: string) => Promise<string> = async (name) => (await lookup(name)).address,
): Promise<readonly Domain[]> {
  const names = services.flatMap(({ outputs }) => (outputs["domain"] ? [printable(outputs["domain"])] : []));
  const wanted = names.filter((name) => !/(^|\.)localhost$/.test(name));
  return Promise.all(
    wanted.map(async (domain) => ({
      domain,
      address: await Promise.race([resolve(domain).catch(() => undefined), wait(LOOKUP_MS, undefined, { ref: false })]),
    })),
  );
}

export const unknownDomain = (domain: string): Problem => ({
  code: "DOMAIN_UNKNOWN",
  where: `domain ${domain}`,
  expected: "a name that this machine knows",
  got: "one that resolves to nothing",
  fix: `add the line \`127.0.0.1  ${domain}\` to /etc/hosts; until then it answers to an explicit Host header`,
});
