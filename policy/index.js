// @ts-check
// JavaScript, because Pulumi has policy packs in TypeScript compiled by a compiler of long ago.
import { PolicyPack } from "@pulumi/policy";
import { judgeContainer, judgeImage, judgeMemory, judgeNetwork } from "./judges.js";

// Rules that look at what Pulumi is about to make, whatever program asks for it: docs/policy.md.

const CONTAINER = "docker:index/container:Container";

/** @param {readonly import("@pulumi/policy").PolicyResource[]} resources */
const containers = (resources) => resources.filter(({ type }) => type === CONTAINER);

/**
 * A rule for each container by itself.
 *
 * @param {(container: any, urn: string) => readonly string[]} judge
 * @returns {import("@pulumi/policy").StackValidationPolicy["validateStack"]}
 */
const each =
  (judge) =>
  ({ resources }, report) => {
    for (const { urn, props } of containers(resources)) for (const reason of judge(props, urn)) report(reason, urn);
  };

new PolicyPack("engineroom", {
  enforcementLevel: "mandatory",
  policies: [
    {
      name: "least-privilege",
      description: "No container is privileged, may gain privileges, keeps all capabilities or has no limit of memory.",
      validateStack: each(judgeContainer),
    },
    {
      name: "closed-network",
      description:
        "Ports are published on loopback alone; those of nginx elsewhere, too, where `allow` names the service.",
      configSchema: { properties: { allow: { type: "array", items: { type: "string" } } } },
      validateStack: (args, report) => {
        const { allow = [] } = /** @type {{ allow?: string[] }} */ (args.getConfig());
        return each((container, urn) => judgeNetwork(container, urn, allow))(args, report);
      },
    },
    {
      name: "image-by-digest",
      description: "An image from a registry is named with its digest, so that it is the same tomorrow.",
      enforcementLevel: "advisory",
      validateStack: each(judgeImage),
    },
    {
      name: "memory-budget",
      description: "All containers together may use at most `maxGiB`.",
      enforcementLevel: "disabled",
      configSchema: { properties: { maxGiB: { type: "number", minimum: 0 } } },
      validateStack: (args, report) => {
        const { maxGiB = Infinity } = /** @type {{ maxGiB?: number }} */ (args.getConfig());
        for (const reason of judgeMemory(
          containers(args.resources).map(({ props }) => /** @type {any} */ (props)),
          maxGiB,
        ))
          report(reason);
      },
    },
  ],
});
