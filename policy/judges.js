// @ts-check

/**
 * What these rules look at of a container's inputs, as the docker provider names them; memory in MiB.
 *
 * @typedef {{
 *   name: string;
 *   image: string;
 *   privileged?: boolean;
 *   securityOpts?: readonly string[];
 *   capabilities?: { adds?: readonly string[]; drops?: readonly string[] };
 *   memory?: number;
 *   ports?: readonly { ip?: string; external?: number }[];
 * }} Container
 */

/**
 * @param {Container} container
 * @returns {readonly string[]} what is wrong with it, each in a sentence that says what to do.
 */
export function judgeContainer({ name, privileged, securityOpts = [], capabilities, memory = 0 }) {
  /** @type {readonly [boolean, string][]} */
  const rules = [
    [
      privileged !== true,
      "expected no privileges, got `privileged`. Fix: remove it, and name the capabilities that it needs",
    ],
    [
      securityOpts.some((option) => /^no-new-privileges(:true)?$/.test(option)),
      "expected the security option no-new-privileges, got none. Fix: add it",
    ],
    [
      (capabilities?.drops ?? []).some((one) => /^(CAP_)?ALL$/.test(one)),
      "expected all capabilities dropped but those that are named, got the engine's own. Fix: drop ALL",
    ],
    [memory > 0, "expected a limit of memory, got none. Fix: set `memory`"],
  ];
  return rules.flatMap(([holds, words]) => (holds ? [] : [`${name}: ${words}.`]));
}

const LOOPBACK = /^(127\.|::1$)/;

/**
 * @param {Container} container
 * @param {string} urn
 * @param {readonly string[]} allow services of kind nginx that may be open to the network.
 * @returns {readonly string[]}
 */
export function judgeNetwork({ name, ports = [] }, urn, allow) {
  const service = /::([^:]+)-container$/.exec(urn)?.[1];
  if (urn.includes("engineroom:service:Nginx$") && service !== undefined && allow.includes(service)) return [];
  return ports
    .filter(({ ip = "" }) => !LOOPBACK.test(ip))
    .map(
      ({ ip, external }) =>
        `${name}: expected port ${external ?? "(any)"} on loopback, got ${ip ?? "every address"}. Fix: an nginx in front of it, and that nginx in \`allow\` of this rule.`,
    );
}

/** An id, or what engineroom made on this machine, whose tag is its content: nobody puts another in its place. */
const OWN = /^(sha256:[0-9a-f]{64}|engineroom(-[^/]+)?\/[^:]+:[0-9a-f]{12})$/;

/**
 * @param {Container} container
 * @returns {readonly string[]}
 */
export function judgeImage({ name, image }) {
  if (OWN.test(image) || /@sha256:[0-9a-f]{64}$/.test(image)) return [];
  return [`${name}: expected an image with its digest, got ${image}. Fix: NAME:TAG@sha256:…, as docker pull shows it.`];
}

const MIB_PER_GIB = 1024;

/**
 * @param {readonly Container[]} containers
 * @param {number} maxGiB
 * @returns {readonly string[]}
 */
export function judgeMemory(containers, maxGiB) {
  const GiB = containers.reduce((sum, { memory = 0 }) => sum + memory, 0) / MIB_PER_GIB;
  if (GiB <= maxGiB) return [];
  const largest = containers
    .toSorted((a, b) => (b.memory ?? 0) - (a.memory ?? 0))
    .slice(0, 3)
    .map(({ name, memory = 0 }) => `${name} ${(memory / MIB_PER_GIB).toFixed(1)}`);
  return [
    `expected limits of at most ${maxGiB} GiB together, got ${GiB.toFixed(1)} (largest: ${largest.join(", ")}). Fix: lower some \`memory\`, or raise maxGiB.`,
  ];
}
