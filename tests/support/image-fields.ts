import { added, card, KIND, misplaced, to, type Rows } from "./fields.ts";
import type { Ground, imageStack } from "./whole-stack.ts";

// As fields.ts, of the kinds that only ship as images.

export type ImageService = keyof ReturnType<typeof imageStack>["services"];

const up = (...services: readonly ImageService[]): readonly string[] =>
  services.flatMap((service) => [`${service}-container`, `${service}-ready`]);
/** The same, with other files. */
const whole = (...services: readonly ImageService[]): readonly string[] =>
  services.flatMap((service) => [`${service}-files`, ...up(service)]);

/** Fields that every kind has. */
const common = (service: ImageService, need: ImageService): Rows => ({
  kind: KIND,
  in: misplaced("host"),
  required: to(false, `${service}-ready`),
  needs: to((needs: unknown) => [...((needs as string[] | undefined) ?? []), need]),
  // Only an order.
  doesNotWaitFor: to([need]),
  env: to(added({ EXTRA: "1" }), ...up(service)),
  envFile: to("./app.env", ...up(service), `${service}-files`),
  logFile: misplaced("/tmp/engineroom-fields.log"),
  errorLog: misplaced("/tmp/engineroom-fields.err"),
  pidFile: misplaced("/tmp/engineroom-fields.pid"),
  memory: to("3GiB", ...up(service)),
  cpus: to(1.5, ...up(service)),
  containerName: to("other", ...up(service), "containers"),
  restart: to("on-failure", ...up(service)),
  ready: to({ timeout: "99s" }, `${service}-ready`),
  stopSignal: to("INT", ...up(service)),
  stopGrace: to("7s", ...up(service)),
  data: to("disposable", `${service}-ready`),
});
const volume = (service: ImageService, end = ""): Rows => ({
  volumeName: to("other", `volume-test-${service}${end}`, `volume-other${end}`, ...up(service)),
});

export const imageFields = (ground: Ground): Readonly<Record<ImageService, Rows>> => ({
  logs: {
    ...common("logs", "box"),
    ...volume("logs"),
    enabled: { value: false, changes: [], refused: "REFERENCE_DISABLED" },
    // Inside of the network it is another port for those who ask.
    port: to(ground.ports[1], ...whole("logs", "board", "ship")),
    retention: to("7d", ...whole("logs")),
  },
  board: {
    ...common("board", "logs"),
    ...volume("board"),
    enabled: to(false, ...whole("board"), "board-password", "volume-test-board", "containers", ...up("box")),
    port: to(ground.ports[1], ...whole("board"), ...up("box")),
    password: to("${secret.token}", ...whole("board"), "board-password"),
    datasources: to(added({ metrics: { type: "prometheus", url: "http://metrics:9090" } }), ...whole("board")),
  },
  ship: {
    ...common("ship", "box"),
    ...volume("ship"),
    enabled: to(false, ...whole("ship"), "volume-test-ship", "containers"),
    port: to(ground.ports[1], ...up("ship")),
    loki: to("http://elsewhere:3100", ...whole("ship")),
    logs: { value: "host", changes: [], refused: "ALLOY_WITHOUT_HOST" },
  },
  box: {
    ...common("box", "ship"),
    ...volume("box", "-data"),
    enabled: to(false, ...whole("box"), "volume-test-box-data", "containers"),
    image: to("app:2", ...up("box")),
    port: to(ground.ports[1], ...up("box")),
    containerPort: to(80, ...up("box")),
    ports: to({ admin: { port: ground.ports[1], containerPort: 81 } }, ...up("box")),
    command: to(["app", "--more"], ...up("box")),
    args: { value: ["--more"], changes: [], refused: "COMMAND_AND_ARGS" },
    volumes: to({ data: "/other" }, ...up("box")),
    files: to({ "/etc/app.yml": "a: ${secret.token}" }, ...whole("box")),
    mounts: to({ "/models": "./models" }, ...up("box")),
    health: to("/health", "box-ready"),
    gpu: card("box-ready"),
    runAs: to("5:5", ...up("box")),
    readOnly: to(true, ...up("box")),
    capabilities: to(["CAP_CHOWN"], ...up("box")),
    cwd: to("/srv", ...up("box")),
  },
});
