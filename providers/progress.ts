import { createRequire } from "node:module";
import type * as Grpc from "@grpc/grpc-js";
import type { EngineClient as Engine } from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import type * as Messages from "@pulumi/pulumi/proto/engine_pb.js";

const require = createRequire(import.meta.url);

/** Shows a line beside a resource while it is worked on; gone when the work ends. */
export type Progress = (message: string) => void;

/**
 * Writes to Pulumi's own display. The engine's address is the last argument of the provider's process.
 * A lost line is no reason to fail.
 */
export function progressOf(urn: string, kept = false): Progress {
  const address = process.argv.at(-1);
  if (!address) return () => undefined;
  const grpc = require("@grpc/grpc-js") as typeof Grpc;
  const { EngineClient } = require("@pulumi/pulumi/proto/engine_grpc_pb.js") as { EngineClient: typeof Engine };
  const messages = require("@pulumi/pulumi/proto/engine_pb.js") as typeof Messages;
  const client = new EngineClient(address, grpc.credentials.createInsecure());
  return (message) => {
    const request = new messages.LogRequest();
    request.setSeverity(kept ? messages.LogSeverity.WARNING : messages.LogSeverity.INFO);
    request.setMessage(message);
    request.setUrn(urn);
    request.setEphemeral(!kept);
    client.log(request, () => undefined);
  };
}
