import type { Command } from "commander";
import { chooseServices } from "#cli/choose.ts";
import { openSelected, selectStack } from "#cli/open.ts";
import { checkWords, describePlan, type DescribedPlan, type PrintablePlan } from "#operations/describe-plan.ts";
import { mebibytes } from "#operations/judge-state.ts";
import type { ContainerPlan } from "#stack/plan.ts";

export function define(command: Command): void {
  command
    .argument("[services...]", "which to print; all without any")
    .option("--json", "print one JSON object, and nothing else")
    .action((names: readonly string[], { json }: { readonly json?: true }) => {
      const { plan } = openSelected(selectStack(command));
      const described = describePlan(plan, chooseServices(names, plan));
      process.stdout.write(json ? `${JSON.stringify(described)}\n` : planText(described));
    });
}

export function planText({ stack, owner, services, disabled, secrets }: DescribedPlan): string {
  const blocks = [
    block(`stack ${stack}`, [
      ["owner", [owner]],
      ["disabled", disabled],
      ["secrets", secrets.map(({ name, from }) => `${name}: ${from}`)],
    ]),
    ...services.map(serviceBlock),
  ];
  return blocks.join("\n");
}

type Lines = readonly (readonly [label: string, lines: readonly (string | undefined)[]])[];

/** Of the longest label, and what stands around it. */
const LABEL_WIDTH = 12;

/** A headline and labelled lines; a label without lines is left out. */
function block(head: string, lines: Lines): string {
  const shown = lines.flatMap(([label, all]) =>
    all
      .filter((line) => line !== undefined)
      .map((line, index) => `  ${(index === 0 ? label : "").padEnd(LABEL_WIDTH)}${line}\n`),
  );
  return `${head}\n${shown.join("")}`;
}

const commandLine = (argv: readonly string[]): string => argv.map(shellWord).join(" ");

function serviceBlock(service: PrintablePlan): string {
  const { build, model, check, memoryBytes, needs, required, container, external } = service;
  const isJob = service.run === "job";
  const isOurs = external === undefined;
  return block(`${service.name} (${service.kind}, ${service.in}${required ? "" : ", not required"})`, [
    [
      "runs",
      [
        external
          ? `elsewhere, at ${external.host}:${external.port}: engineroom only asks it`
          : service.argv.length > 0
            ? commandLine(service.argv)
            : `what its image says${container?.args ? `, with ${commandLine(container.args)}` : ""}`,
      ],
    ],
    ["in", [container ? (container.workingDir ?? undefined) : isOurs ? service.cwd : undefined]],
    ["container", [container && `${container.name}${container.user ? `, as ${container.user}` : ""}`]],
    ["image", [container && container.image.reference]],
    ["hardening", [container && hardening(container)]],
    [
      "volume",
      container?.volumes.map(({ name, target, kept }) => `${name} at ${target}, ${kept ? "kept" : "disposable"}`) ?? [],
    ],
    ["mounts", Object.entries(container?.mounts ?? {}).map(([target, source]) => `${source} at ${target}, read-only`)],
    ["build", [build && `${build.source} -> ${build.target}`]],
    ["model", [model && `${model.name}: ${model.path}`]],
    ["after", [needs.length > 0 ? `${needs.join(", ")} ${needs.length === 1 ? "is" : "are"} ready` : undefined]],
    [
      "listens",
      service.ports.map(({ host, port }, index) => {
        const inside = container?.internalPorts[index];
        return `${host}:${port}${inside === undefined ? "" : ` (${inside} inside)`}`;
      }),
    ],
    [
      "ready when",
      [
        check && `${checkWords(check)}, within ${seconds(service.readyTimeoutMs)}`,
        isJob ? `it ends with exit code 0 within ${seconds(service.readyTimeoutMs)}` : undefined,
      ],
    ],
    ["restart", [isJob || !isOurs ? undefined : service.restart]],
    [
      "stop",
      [isJob || !isOurs ? undefined : `SIG${service.stopSignal}, SIGKILL after ${seconds(service.stopGraceMs)}`],
    ],
    [
      "memory",
      [
        memoryBytes === undefined
          ? undefined
          : `${mebibytes(memoryBytes)}, ${container ? "enforced" : "watched, not enforced"}`,
      ],
    ],
    ["cpus", [container?.cpus === undefined ? undefined : String(container.cpus)]],
    ["env", Object.entries(service.env).map(([name, value]) => `${name}=${value}`)],
    ["files", service.files.map(({ path, mode }) => `${path} (${mode})`)],
    ["offers", Object.entries(service.outputs).map(([key, value]) => `\${${service.name}.${key}} = ${value}`)],
    [
      "logs",
      container ? ["the engine's: ./engineroom logs, docker logs"] : isOurs ? [service.logFile, service.errorLog] : [],
    ],
    ["pid file", [service.pidFile]],
  ]);
}

const hardening = ({ readOnly, capabilities }: ContainerPlan): string =>
  [
    readOnly ? "read-only root" : "root can be written",
    capabilities.length === 0 ? "no capabilities" : capabilities.join(" "),
    "no new privileges",
  ].join(", ");

const seconds = (milliseconds: number): string => `${milliseconds / 1000} s`;

/** As a shell would have it quoted, so that words with spaces stay recognisable. */
const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
