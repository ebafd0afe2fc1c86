import { readFileSync, rmSync, mkdtempSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { call, identification, parseProgramStates, programStates } from "#observe/supervisord.ts";

// The answers were recorded from supervisord 4.3.0.
const recorded = (name: string): string => readFileSync(join(import.meta.dirname, "recorded", `${name}.xml`), "utf8");

describe("a recorded answer", () => {
  it("tells every state", () =>
    expect(parseProgramStates(recorded("all-process-info")).map(({ name, state }) => [name, state])).toEqual([
      ["backoff", "BACKOFF"],
      ["exited", "EXITED"],
      ["fatal", "FATAL"],
      ["killed", "EXITED"],
      ["running", "RUNNING"],
      ["starting", "STARTING"],
      ["stopped", "STOPPED"],
      ["stopping", "STOPPING"],
    ]));

  it("tells how each program fares", () => {
    const states = new Map(parseProgramStates(recorded("all-process-info")).map((state) => [state.name, state]));
    expect(states.get("exited")).toMatchObject({ pid: 0, exitStatus: 3, spawnError: "Bad exit code 3" });
    expect(states.get("killed")).toMatchObject({ pid: 0, exitStatus: -1 });
    expect(states.get("fatal")).toMatchObject({ pid: 0, spawnError: "can't find command '/nowhere/<a & b>'" });
    expect(states.get("stopped")).toMatchObject({ pid: 0, startedAt: 0, stoppedAt: 0, spawnError: "" });
    expect(states.get("running")?.pid).toBeGreaterThan(0);
  });

  it("about one program", () =>
    expect(parseProgramStates(recorded("process-info"))).toEqual([
      {
        name: "running",
        state: "RUNNING",
        pid: 26375,
        exitStatus: 0,
        startedAt: 1_795_339_181,
        stoppedAt: 0,
        spawnError: "",
      },
    ]));

  it.each(["", "<html>", "<struct>"])("of nobody we know, %j, throws nothing", (text) =>
    expect(parseProgramStates(text).every(({ name }) => name === "")).toBe(true),
  );
});

describe("on a socket", () => {
  let dir: string;
  let server: Server | undefined;
  const socket = (): string => join(dir, "s.sock");
  const serve = (answer: string, end = true) =>
    new Promise<void>((resolve) => {
      server = createServer((connection) => {
        connection.on("error", () => undefined);
        connection.once("data", () =>
          end ? connection.end(answer) : connection.write(answer, () => connection.destroy()),
        );
      });
      server.listen(socket(), resolve);
    });
  const http = (body: string, length = Buffer.byteLength(body)) =>
    `HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: ${length}\r\n\r\n${body}`;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "er-sock-"));
  });
  afterEach(async () => {
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    server = undefined;
    rmSync(dir, { recursive: true });
  });

  it("nobody listens on, the call is refused", () =>
    expect(call(socket(), "getState")).rejects.toMatchObject({ code: "ENOENT" }));

  it("a fault is an error in its words", async () => {
    await serve(http(recorded("fault")));
    await expect(call(socket(), "getProcessInfo", ["nobody"])).rejects.toThrow("BAD_NAME: nobody");
  });

  it("an identification is read, with what XML escapes", async () => {
    await serve(
      http("<methodResponse><params><param><value><string>a/&lt;b&gt; &amp;</string></value></param></params>"),
    );
    expect(await identification(socket())).toBe("a/<b> &");
  });

  it("states are read", async () => {
    await serve(http(recorded("all-process-info")));
    expect(await programStates(socket())).toHaveLength(8);
  });

  it("an answer that breaks off is an error", async () => {
    await serve(http("<methodResponse>", 5000), false);
    await expect(call(socket(), "getState")).rejects.toThrow();
  });

  it("one who speaks no HTTP is an error", async () => {
    await serve("hello\r\n");
    await expect(call(socket(), "getState")).rejects.toThrow();
  });
});
