/**
 * MQTT 3.1.1, as much of it as a check says: one login, one subscription, messages that need no receipt. A client
 * library would bring reconnecting, queues and 100 ms of loading, none of which a single question wants.
 */
export type Packet =
  | { readonly type: "connack"; readonly code: number }
  | { readonly type: "suback"; readonly code: number }
  | { readonly type: "publish"; readonly topic: string; readonly payload: string }
  /** Something that the check did not ask for. */
  | { readonly type: "other" };

/** What came does not follow the protocol: no MQTT broker answers there. */
export class NotMqtt extends Error {}

const PACKET_LIMIT = 1024 * 1024;
/** The first byte that a broker ever says. */
export const CONNACK = 0x20;
const SUBACK = 0x90;
const PUBLISH = 0x30;

/** @param client its own name; the broker ends another connection of the same name. */
export function connectPacket(client: string, user: string, password: string): Buffer {
  const clean = 0x02;
  const withLogin = 0xc0;
  const level = 4;
  const keepAliveSeconds = Buffer.from([0, 60]);
  const head = [field("MQTT"), Buffer.from([level, clean | withLogin]), keepAliveSeconds];
  return packet(0x10, [...head, field(client), field(user), field(password)]);
}

export const subscribePacket = (topic: string): Buffer =>
  packet(0x82, [Buffer.from([0, 1]), field(topic), Buffer.from([0])]);

export const publishPacket = (topic: string, payload: string): Buffer =>
  packet(PUBLISH, [field(topic), Buffer.from(payload)]);

export const disconnectPacket = (): Buffer => packet(0xe0, []);

function packet(type: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([type, ...lengthBytes(body.length)]), body]);
}

/** Seven bits a byte, the lowest first; the eighth says that more follow. */
function lengthBytes(length: number): readonly number[] {
  return length < 128 ? [length] : [(length % 128) | 128, ...lengthBytes(Math.floor(length / 128))];
}

function field(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

/** The packet at the beginning and how long it is, or undefined while it is not complete. Throws NotMqtt. */
export function decodePacket(bytes: Buffer): { readonly packet: Packet; readonly length: number } | undefined {
  const first = bytes[0];
  if (first === undefined) return undefined;
  let size = 0;
  let at = 1;
  for (let factor = 1; ; factor *= 128, at += 1) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    size += (byte & 127) * factor;
    if (byte < 128) break;
    if (at === 4) throw new NotMqtt("a length of more than four bytes");
  }
  if (size > PACKET_LIMIT) throw new NotMqtt(`a length of ${size}`);
  const start = at + 1;
  if (bytes.length < start + size) return undefined;
  return { packet: decodeBody(first, bytes.subarray(start, start + size)), length: start + size };
}

function decodeBody(first: number, body: Buffer): Packet {
  if (first === CONNACK && body.length === 2) return { type: "connack", code: body[1] ?? 0 };
  if (first === SUBACK && body.length === 3) return { type: "suback", code: body[2] ?? 0 };
  if ((first & 0xf0) !== PUBLISH || body.length < 2) return { type: "other" };
  const end = 2 + body.readUInt16BE(0);
  return { type: "publish", topic: body.toString("utf8", 2, end), payload: body.toString("utf8", end) };
}
