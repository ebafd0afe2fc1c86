import { connect } from "node:net";
import { pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { judgeNoAnswer, noAnswer } from "#checks/network.ts";

/** Longer than the engine's proxy takes to find nobody. */
const HANGS_UP_MS = 200;

export function probeTcp(check: CheckOf<"tcp">, signal: AbortSignal): Promise<Outcome> {
  const { host, port } = check;
  const where = `${host}:${port}`;
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    socket.on("error", (error) => {
      resolve(judgeNoAnswer(where, noAnswer(error, signal)));
    });
    const accepted = () => {
      resolve(ready(`${where} accepts connections`));
      socket.destroy();
    };
    socket.on("connect", () => {
      if (check.isDirect !== false) {
        accepted();
        return;
      }
      const timer = setTimeout(accepted, HANGS_UP_MS);
      socket.on("close", () => {
        clearTimeout(timer);
        resolve(pending(`${where} accepts connections and ends them at once`));
      });
    });
  });
}
