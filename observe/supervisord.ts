// An import would touch every export of it, and one of them loads a whole HTTP client of another kind: 15 ms.
const { request } = process.getBuiltinModule("node:http");

/** One program as supervisord sees it. */
export interface ProgramState {
  readonly name: string;
  readonly state: "STOPPED" | "STARTING" | "RUNNING" | "BACKOFF" | "STOPPING" | "EXITED" | "FATAL" | "UNKNOWN";
  /** 0 when none runs. */
  readonly pid: number;
  readonly exitStatus: number;
  /** Unix seconds; 0 for never. */
  readonly startedAt: number;
  readonly stoppedAt: number;
  readonly spawnError: string;
}

type Parameter = string | boolean;

/** supervisord answers XML-RPC on its unix socket; one request costs a millisecond, its own client a quarter second. */
export function call(socket: string, method: string, parameters: readonly Parameter[] = []): Promise<string> {
  const values = parameters.map((value) => `<param><value>${typed(value)}</value></param>`).join("");
  const body = `<?xml version="1.0"?><methodCall><methodName>supervisor.${method}</methodName><params>${values}</params></methodCall>`;
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "text/xml", "content-length": Buffer.byteLength(body) };
    const sent = request({ socketPath: socket, path: "/RPC2", method: "POST", headers, timeout: 5000 }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      // It ended in the middle of its answer.
      response.on("error", reject);
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => {
        const fault = /<fault>[^]*?<name>faultString<\/name>\s*<value><string>([^<]*)/.exec(text);
        if (fault) reject(new Error(decode(fault[1] ?? "")));
        else resolve(text);
      });
    });
    sent.on("timeout", () => sent.destroy(new Error("supervisord did not answer within 5 s")));
    sent.on("error", reject);
    sent.end(body);
  });
}

const typed = (value: Parameter): string =>
  typeof value === "boolean" ? `<boolean>${value ? 1 : 0}</boolean>` : `<string>${encode(value)}</string>`;

const encode = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const decode = (text: string): string =>
  text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");

/** Who answers on the socket: the `identifier` of its settings, our owner id. */
export async function identification(socket: string): Promise<string> {
  const text = await call(socket, "getIdentification");
  return decode(/<string>([^<]*)<\/string>/.exec(text)?.[1] ?? "");
}

export async function supervisorPid(socket: string): Promise<number> {
  return Number(/<int>(\d+)<\/int>/.exec(await call(socket, "getPID"))?.[1]);
}

export async function programStates(socket: string): Promise<readonly ProgramState[]> {
  return parseProgramStates(await call(socket, "getAllProcessInfo"));
}

/** @param text the answer to `getAllProcessInfo`, or to `getProcessInfo`. */
export function parseProgramStates(text: string): readonly ProgramState[] {
  return text
    .split("<struct>")
    .slice(1)
    .map((struct) => {
      const field = (name: string): string =>
        decode(new RegExp(`<name>${name}</name>\\s*<value><(?:string|int)>([^<]*)</`).exec(struct)?.[1] ?? "");
      return {
        name: field("name"),
        state: field("statename") as ProgramState["state"],
        pid: Number(field("pid")),
        exitStatus: Number(field("exitstatus")),
        startedAt: Number(field("start")),
        stoppedAt: Number(field("stop")),
        spawnError: field("spawnerr"),
      };
    });
}
