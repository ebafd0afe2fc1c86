import type { z } from "zod";
import { hole, type Text } from "#stack/text.ts";
import type { Address } from "#stack/plan.ts";
import { APPLICATION_USER } from "#stack/containers.ts";
import { defineExternal, defineKind, httpOutputs, MIB, type KindPlan, type PlanContext } from "../kind.ts";
import { externalObjectStore, objectStoreSettings } from "./settings.ts";

type Settings = z.output<typeof objectStoreSettings>;

/** Of the image's contract (docs/images.md): a new volume has the rights of the directory that it is mounted on, and here anybody may write. */
const IMAGE = { data: "/var/tmp", user: APPLICATION_USER };

const secretName = (settings: Pick<Settings, "secretKey">, context: PlanContext): string =>
  settings.secretKey ?? `${context.name}.secretKey`;

function outputs(settings: Settings, context: PlanContext, at: Address): Readonly<Record<string, Text>> {
  return {
    ...httpOutputs(at),
    region: [settings.region],
    accessKey: [settings.accessKey],
    secretKey: [hole(secretName(settings, context))],
  };
}

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan {
  const secret = secretName(settings, context);
  const { accessKey, region, buckets } = settings;
  const onHost = context.in === "host";
  const data = onHost ? `${context.places.dataDir}/${context.name}` : IMAGE.data;
  return {
    argv: ["/bin/sh", `${context.home}/start.sh`, ...buckets],
    env: {
      STORE: [onHost ? context.tool("object-store").path : "versitygw"],
      STORE_HOME: [context.home],
      STORE_OBJECTS: [`${data}/objects`],
      STORE_LISTEN: [`${context.listen}:${context.port}`],
      STORE_REGION: [region],
      ROOT_ACCESS_KEY_ID: [accessKey],
    },
    files: [
      { path: "start.sh", mode: "0600", content: [START] },
      { path: "secret-key", mode: "0600", content: [hole(secret)] },
    ],
    directories: [data],
    tools: ["object-store"],
    check: {
      kind: "object-store",
      url: `http://${context.at.host}:${context.at.port}`,
      region,
      accessKey,
      secretKeyFile: `${context.hostHome}/secret-key`,
      buckets,
    },
    readyTimeoutMs: 30_000,
    generates: settings.secretKey ? [] : [secret],
    container: { image: "object-store", user: IMAGE.user, volume: IMAGE.data, memoryBytes: 512 * MIB },
  };
}

/** A bucket is a directory. */
const START = `set -eu
umask 077
for bucket; do mkdir -p "$STORE_OBJECTS/$bucket"; done
ROOT_SECRET_ACCESS_KEY=$(cat "$STORE_HOME/secret-key")
export ROOT_SECRET_ACCESS_KEY
exec "$STORE" --port "$STORE_LISTEN" --region "$STORE_REGION" posix --dir-perms 0700 --file-perms 0600 "$STORE_OBJECTS"
`;

export const objectStore = defineKind<Settings>({
  settings: objectStoreSettings,
  className: "ObjectStore",
  defaultPort: 9000,
  outputs,
  plan,
  external: defineExternal({
    settings: externalObjectStore,
    plan: ({ region, accessKey, secretKey, buckets }, { at, hostHome }) => ({
      check: {
        kind: "object-store",
        url: `http://${at.host}:${at.port}`,
        region,
        accessKey,
        secretKeyFile: `${hostHome}/secret-key`,
        buckets,
      },
      files: [{ path: "secret-key", mode: "0600", content: [hole(secretKey)] }],
    }),
  }),
});
