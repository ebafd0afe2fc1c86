import { z } from "zod";
import {
  absolutePath,
  applicationSettings,
  argv,
  commonSettings,
  dataSettings,
  duration,
  port,
  urlPath,
} from "#stack/schema.ts";

const { gpu, image, runAs, readOnly, capabilities } = applicationSettings;

/** What `${name.<word>Url}` can hold. */
const word = z.string().regex(/^[a-z][A-Za-z0-9]*$/, "a name of letters and digits, a lower-case letter first");
const volumeEnd = z.string().regex(/^[a-z0-9][a-z0-9_.-]*$/, "a name of lower-case letters, digits and `_.-`");

export const containerSettings = z.strictObject({
  kind: z.literal("container"),
  ...commonSettings,
  ...dataSettings,
  /** Best with its digest, `name:tag@sha256:…`. */
  image: image.unwrap(),
  /** TCP port on loopback. */
  port: port.optional(),
  /** Where the image listens. Default: `port`. */
  containerPort: port.optional(),
  /** Further ports, by a name that makes the outputs `<name>Port` and `<name>Url`. */
  ports: z.record(word, z.strictObject({ port, containerPort: port.optional() })).default({}),
  /** Arguments in place of the image's entry point and command. */
  command: argv.optional(),
  /** Arguments in place of the image's command, for its entry point. */
  args: argv.optional(),
  /** What the names of volumes end with → where they go. */
  volumes: z.record(volumeEnd, absolutePath).default({}),
  /** Where files go → their text, which may refer to services and secrets. */
  files: z.record(absolutePath, z.string()).default({}),
  /** Where directories and files of this host go, read-only → their paths. */
  mounts: z.record(absolutePath, z.string()).default({}),
  /** Path that answers 200 when it works; it needs `port`. */
  health: urlPath.optional(),
  /** `command` runs in the container, and ends with 0 once it works. */
  ready: z.strictObject({ timeout: duration.optional(), command: argv.optional() }).default({}),
  gpu,
  runAs,
  readOnly,
  capabilities,
  /** Directory to run in. Default: the image's. */
  cwd: absolutePath.optional(),
});
