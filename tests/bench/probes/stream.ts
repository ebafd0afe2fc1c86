import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { freePort } from "../../support/ports.ts";
import { testStack, type Sections } from "../../support/test-stack.ts";
import { engineroom, seconds, type Bench, type Probe } from "../context.ts";
import { median, timed, type Findings } from "../figure.ts";

const RATIO = 1.2;
/** Of each way in a run: one alone would say little of some milliseconds. */
const ASKED = 20;

export const stream: Probe = {
  name: "stream",
  summary: "first token of a stream through nginx against asking the model server itself",
  run,
};

interface Ports {
  readonly chat: number;
  readonly edge: number;
}

const sections = ({ chat, edge }: Ports): Sections => ({
  settings: { in: "host" },
  models: { gemma: { file: "gemma-3-270m-q4_k_m.gguf" } },
  services: {
    chat: { kind: "llama-server", model: "gemma", contextSize: 2048, threads: 2, port: chat },
    edge: { kind: "nginx", port: edge, routes: { "/": "${chat.url}" } },
  },
});

async function run(bench: Bench): Promise<Findings> {
  const ports = { chat: await freePort(), edge: await freePort() };
  await using stack = testStack(bench.checkout, "stream", sections(ports));
  await seconds(bench, engineroom(stack, "up", "--yes"));
  const samples = { direct: [] as number[], through: [] as number[] };
  // The first run has the model's pages read.
  for (let round = 0; round <= bench.runs * ASKED; round++) {
    bench.signal.throwIfAborted();
    const direct = await firstToken(ports.chat, round);
    const through = await firstToken(ports.edge, round);
    if (round === 0) continue;
    samples.direct.push(direct);
    samples.through.push(through);
  }
  const goal = { words: `${RATIO} × direct`, limit: RATIO * median(samples.direct) };
  const against = { name: "direct", samples: samples.direct };
  return {
    figures: [{ name: "first token through nginx", unit: "ms", samples: samples.through, against, goal }],
    notes: [
      `one prompt after the other, each by both ways, ${ASKED} a run; from the request to the first piece of the answer that holds a token`,
      "a base model of 270 million parameters: with any larger one the same milliseconds of nginx are a smaller part",
    ],
  };
}

/** Milliseconds to the first token; each prompt is new, so that no cache of the server answers for it. */
async function firstToken(port: number, round: number): Promise<number> {
  const prompt = `${port} ${round}: once upon a time there was a`;
  const body = JSON.stringify({ prompt, stream: true, max_tokens: 4, cache_prompt: false });
  const headers = { "content-type": "application/json" };
  const { seconds: taken } = await timed(async () => {
    const call = request({ host: "127.0.0.1", port, path: "/v1/completions", method: "POST", headers, agent: false });
    call.end(body);
    const [response] = (await once(call, "response")) as [IncomingMessage];
    await once(response, "data");
    response.resume();
    return response;
  });
  return taken * 1000;
}
