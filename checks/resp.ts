import { connect } from "node:net";

/**
 * The Redis protocol (RESP2), as much of it as a check asks. A client library would bring reconnecting, queues and
 * 150-270 ms of loading, none of which a single question wants.
 */
export type Reply = string | number | null | RespError | readonly Reply[];

/** An error reply, such as `NOAUTH Authentication required.` */
export class RespError {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
  /** The first word: NOAUTH, WRONGPASS, LOADING, ERR … */
  get code(): string {
    return this.message.split(" ", 1)[0] ?? "";
  }
}

/** What came does not follow the protocol: no Redis answers there. */
export class NotResp extends Error {}

const REPLY_LIMIT = 16 * 1024 * 1024;
const NESTING_LIMIT = 8;
const CRLF = "\r\n";

export function encodeCommand(words: readonly string[]): string {
  return [`*${words.length}`, ...words.map((word) => `$${Buffer.byteLength(word)}${CRLF}${word}`), ""].join(CRLF);
}

/** The reply at `offset` and where it ends, or undefined while it is not complete. Throws NotResp. */
export function decodeReply(bytes: Buffer, offset: number, depth = 0): { reply: Reply; end: number } | undefined {
  if (depth > NESTING_LIMIT) throw new NotResp("too many nested lists");
  const first = bytes[offset];
  if (first === undefined) return undefined;
  const kind = String.fromCharCode(first);
  if (!"+-:$*".includes(kind)) throw new NotResp(`a reply starts with byte ${first}`);
  const lineEnd = bytes.indexOf(CRLF, offset);
  if (lineEnd < 0) return undefined;
  const line = bytes.toString("utf8", offset + 1, lineEnd);
  const end = lineEnd + CRLF.length;
  if (kind === "+") return { reply: line, end };
  if (kind === "-") return { reply: new RespError(line), end };
  if (!/^-?\d{1,15}$/.test(line)) throw new NotResp("a length or number that is none");
  const number = Number(line);
  if (kind === ":") return { reply: number, end };
  if (number === -1) return { reply: null, end };
  if (number < 0 || number > REPLY_LIMIT) throw new NotResp(`a length of ${number}`);
  return kind === "$" ? decodeBulk(bytes, end, number) : decodeList(bytes, end, number, depth);
}

function decodeBulk(bytes: Buffer, start: number, length: number): { reply: Reply; end: number } | undefined {
  const end = start + length;
  if (bytes.length < end + CRLF.length) return undefined;
  return { reply: bytes.toString("utf8", start, end), end: end + CRLF.length };
}

function decodeList(bytes: Buffer, start: number, length: number, depth: number) {
  const list: Reply[] = [];
  let end = start;
  for (let i = 0; i < length; i += 1) {
    const item = decodeReply(bytes, end, depth + 1);
    if (item === undefined) return undefined;
    list.push(item.reply);
    end = item.end;
  }
  return { reply: list, end };
}

export interface RespAsk {
  readonly host: string;
  readonly port: number;
  /** Sent at once; each gives one reply. */
  readonly commands: readonly (readonly string[])[];
  readonly signal: AbortSignal;
}

/**
 * One connection, all commands, and their replies until `isDone`, which sees those so far after each one; a
 * subscription's messages are replies, too. Rejects with a socket error, NotResp, or when `signal` aborts.
 */
export function followResp(
  { host, port, commands, signal }: RespAsk,
  isDone: (replies: readonly Reply[]) => boolean,
): Promise<readonly Reply[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    const replies: Reply[] = [];
    let bytes: Buffer = Buffer.alloc(0);
    const end = (settle: () => void) => {
      settle();
      socket.destroy();
    };
    const read = (): boolean => {
      let next: ReturnType<typeof decodeReply>;
      while ((next = decodeReply(bytes, 0)) !== undefined) {
        replies.push(next.reply);
        bytes = bytes.subarray(next.end);
        if (isDone(replies)) return true;
      }
      if (bytes.length > REPLY_LIMIT) throw new NotResp("a reply without end");
      return false;
    };
    socket.on("error", reject);
    socket.on("close", () => {
      reject(Object.assign(new Error("closed without an answer"), { code: "ECONNRESET" }));
    });
    socket.on("connect", () => socket.write(commands.map(encodeCommand).join("")));
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      try {
        if (read())
          end(() => {
            resolve(replies);
          });
      } catch (error) {
        end(() => {
          reject(error instanceof Error ? error : new Error(String(error)));
        });
      }
    });
  });
}
