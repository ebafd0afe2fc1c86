import { describe, expect, it } from "vitest";
import { failed, pending, ready } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";
import { judgeMqtt, type MqttEnd } from "#checks/mqtt.ts";
import { connectPacket, decodePacket, NotMqtt, publishPacket, subscribePacket } from "#checks/mqtt-packets.ts";

const check = { kind: "mqtt", host: "127.0.0.1", port: 1883, user: "app", passwordFile: "/run/pw" } as const;
const where = "127.0.0.1:1883";

const cases: [MqttEnd, Outcome][] = [
  [{ end: "came back" }, ready(`${where} gave a message back to app`)],
  ...[4, 5].map((code): [MqttEnd, Outcome] => [
    { end: "refused", code },
    failed(
      `${where} refused the login of app`,
      "declare the password that the broker was started with: /run/pw holds another",
    ),
  ]),
  [{ end: "refused", code: 3 }, pending(`${where} says that it is not available yet`)],
  [{ end: "refused", code: 1 }, failed(`${where} refused the connection with code 1`, "see the broker's log")],
  [
    { end: "not subscribed" },
    failed(`${where} lets app not subscribe to engineroom/check/#`, "see the broker's access list"),
  ],
  [
    { end: "not mqtt" },
    failed(
      `another program answers on ${where}: its answer is not in the MQTT protocol`,
      "see who listens: ss -ltnp 'sport = :1883'",
    ),
  ],
  [{ end: "no answer", error: { code: "ECONNREFUSED", message: "" } }, pending(`${where} refused the connection`)],
];

describe("judgeMqtt", () => {
  it.each(cases)("%j", (end, outcome) => expect(judgeMqtt(check, end)).toEqual(outcome));
});

describe("packets", () => {
  it("are those of MQTT 3.1.1", () => {
    expect(connectPacket("c", "u", "é").toString("hex")).toBe("101400044d51545404c2003c0001630001750002c3a9");
    expect(subscribePacket("a").toString("hex")).toBe("8206000100016100");
    expect(publishPacket("a", "x".repeat(200)).subarray(0, 6).toString("hex")).toBe("30cb01000161");
  });

  it.each([
    ["20020005", { type: "connack", code: 5 }],
    ["9003000180", { type: "suback", code: 128 }],
    ["3104000161", undefined],
    ["31040001612a", { type: "publish", topic: "a", payload: "*" }],
    ["d000", { type: "other" }],
  ])("%s is read", (hex, packet) => {
    const bytes = Buffer.from(hex, "hex");
    expect(decodePacket(bytes)).toEqual(packet && { packet, length: bytes.length });
  });

  it("wait for their end", () => {
    const bytes = publishPacket("topic", "payload");
    for (let end = 0; end < bytes.length; end++) expect(decodePacket(bytes.subarray(0, end))).toBeUndefined();
  });

  it.each(["20ffffffff01", "30ffffff7f"])("refuse a length that no broker of ours sends: %s", (hex) =>
    expect(() => decodePacket(Buffer.from(hex, "hex"))).toThrow(NotMqtt),
  );
});
