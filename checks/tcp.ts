import { connect } from "node:net";
import { ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { judgeNoAnswer, noAnswer } from "#checks/network.ts";

export function probeTcp(check: CheckOf<"tcp">, signal: AbortSignal): Promise<Outcome> {
  const { host, port } = check;
  const where = `${host}:${port}`;
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    socket.on("error", (error) => {
      resolve(judgeNoAnswer(where, noAnswer(error, signal)));
    });
    socket.on("connect", () => {
      resolve(ready(`${where} accepts connections`));
      socket.destroy();
    });
  });
}
