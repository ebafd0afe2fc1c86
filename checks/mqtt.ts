import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import {
  CONNACK,
  connectPacket,
  decodePacket,
  disconnectPacket,
  publishPacket,
  subscribePacket,
  type Packet,
} from "#checks/mqtt-packets.ts";
import { judgeNoAnswer, noAnswer } from "#checks/network.ts";
import type { NoAnswer } from "#checks/network.ts";
import { readPasswordFile } from "#checks/password.ts";

type MqttCheck = CheckOf<"mqtt">;

/** What the broker's packets amount to. */
export type MqttEnd =
  | { readonly end: "came back" }
  | { readonly end: "refused"; readonly code: number }
  | { readonly end: "not subscribed" }
  | { readonly end: "not mqtt" }
  | { readonly end: "no answer"; readonly error: NoAnswer };

/** Publishes to a topic of its own, and receives it. */
export async function probeMqtt(check: MqttCheck, signal: AbortSignal): Promise<Outcome> {
  const password = await readPasswordFile(check.passwordFile);
  if ("outcome" in password) return password.outcome;
  return judgeMqtt(check, await roundTrip(check, password.text, signal));
}

export function judgeMqtt(check: MqttCheck, end: MqttEnd): Outcome {
  const where = `${check.host}:${check.port}`;
  switch (end.end) {
    case "came back":
      return ready(`${where} gave a message back to ${check.user}`);
    case "refused":
      return judgeRefusal(check, end.code);
    case "not subscribed":
      return failed(`${where} lets ${check.user} not subscribe to engineroom/check/#`, "see the broker's access list");
    case "not mqtt":
      return failed(
        `another program answers on ${where}: its answer is not in the MQTT protocol`,
        `see who listens: ss -ltnp 'sport = :${check.port}'`,
      );
    case "no answer":
      return judgeNoAnswer(where, end.error);
  }
}

/** Return codes of CONNACK (MQTT 3.1.1, 3.2.2.3). */
function judgeRefusal({ host, port, user, passwordFile }: MqttCheck, code: number): Outcome {
  const where = `${host}:${port}`;
  if (code === 4 || code === 5)
    return failed(
      `${where} refused the login of ${user}`,
      `declare the password that the broker was started with: ${passwordFile ?? "its file"} holds another`,
    );
  return code === 3
    ? pending(`${where} says that it is not available yet`)
    : failed(`${where} refused the connection with code ${code}`, "see the broker's log");
}

function roundTrip({ host, port, user }: MqttCheck, password: string, signal: AbortSignal): Promise<MqttEnd> {
  const token = randomUUID();
  const topic = `engineroom/check/${token}`;
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    let bytes: Buffer = Buffer.alloc(0);
    const fail = (error: unknown) => {
      resolve({ end: "no answer", error: noAnswer(error, signal) });
    };
    const finish = (end: MqttEnd) => {
      resolve(end);
      socket.end(disconnectPacket());
      socket.destroySoon();
    };
    const take = (packet: Packet) => {
      if (packet.type === "connack") {
        if (packet.code === 0) socket.write(subscribePacket(topic));
        else finish({ end: "refused", code: packet.code });
      } else if (packet.type === "suback") {
        if (packet.code < 128) socket.write(publishPacket(topic, token));
        else finish({ end: "not subscribed" });
      } else if (packet.type === "publish" && packet.topic === topic && packet.payload === token) {
        finish({ end: "came back" });
      }
    };
    socket.on("error", fail);
    socket.on("close", () => {
      fail(Object.assign(new Error("closed without an answer"), { code: "ECONNRESET" }));
    });
    socket.on("connect", () => socket.write(connectPacket(`engineroom-${token.slice(0, 8)}`, user, password)));
    socket.once("data", (chunk) => {
      if (chunk[0] !== CONNACK) finish({ end: "not mqtt" });
    });
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      try {
        let next: ReturnType<typeof decodePacket>;
        while ((next = decodePacket(bytes)) !== undefined) {
          bytes = bytes.subarray(next.length);
          take(next.packet);
        }
      } catch {
        finish({ end: "not mqtt" });
      }
    });
  });
}
