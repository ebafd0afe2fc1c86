import { chmodSync, existsSync, readFileSync, utimesSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { flagsIn, flagsOfImage, flagsOfProgram, judgeFlags, rememberFlags } from "#checks/llama-flags.ts";
import { temporaryDir, writeFor } from "#tests/support/servers.ts";

// In the words of llama-server b10434; tests/integration/checks/llama-flags.test.ts asks the program itself.
const help = `----- common params -----

-h,    --help, --usage                  print usage and exit
-c,    --ctx-size N                     size of the prompt context (default: 0, 0 = loaded from model)
                                        (env: LLAMA_ARG_CTX_SIZE)
-kvo,  --kv-offload, -nkvo, --no-kv-offload
                                        whether to enable KV cache offloading (default: enabled)
-fa,   --flash-attn [on|off|auto]       set Flash Attention use ('on', 'off', or 'auto', default: 'auto')
--perf, --no-perf                       whether to enable --other things
--spec-ngram-size-n N                   the argument has been removed. use the respective
                                        --spec-ngram-*-size-n or --spec-ngram-mod-n-match
--fim-qwen-1.5b-default                 use default Qwen 2.5 Coder 1.5B
`;

it("finds the flags of a help text, and none that it only refuses", () =>
  expect(flagsIn(help)).toEqual([
    ...["-h", "--help", "--usage", "-c", "--ctx-size", "-kvo", "--kv-offload", "-nkvo", "--no-kv-offload"],
    ...["-fa", "--flash-attn", "--perf", "--no-perf", "--fim-qwen-1.5b-default"],
  ]));

describe("judgeFlags", () => {
  const judge = (...args: readonly string[]) =>
    judgeFlags({ name: "chat", argv: ["/opt/llama-server", ...args] }, flagsIn(help), "b10434");

  it("takes what the build has, and values", () => expect(judge("--ctx-size", "-1", "-fa", "on", "/m")).toEqual([]));

  it("names the nearest flag and the build", () =>
    expect(judge("--flash-atn", "on")).toEqual([
      {
        code: "FLAG_UNKNOWN",
        where: "services.chat.args",
        expected: "a flag that llama-server b10434 has",
        got: "`--flash-atn`",
        fix: "did you mean `--flash-attn`?",
      },
    ]));

  it.each([
    ["a flag and its value in one", "--ctx-size=5", "services.chat.args", "did you mean `--ctx-size`?"],
    ["the key that gives it", "--jinja", "services.chat.jinja", "remove it: `llama-server --help` lists what there is"],
    [
      "a removed one",
      "--spec-ngram-size-n",
      "services.chat.args",
      "remove it: `llama-server --help` lists what there is",
    ],
  ])("tells of %s", (_what, flag, where, fix) => expect(judge(flag)).toMatchObject([{ where, fix }]));
});

describe("flagsOfProgram", () => {
  const program = (dir: string, text: string) => {
    const path = writeFor(dir, "llama-server", `#!/bin/sh\necho run >> ${dir}/runs\n${text}\n`);
    chmodSync(path, 0o755);
    return path;
  };
  const runs = (dir: string): number => readFileSync(`${dir}/runs`, "utf8").length / "run\n".length;

  it("asks a program once, and again when it is another one", async () => {
    await using dir = await temporaryDir();
    const [path, cache] = [program(dir.path, "echo '--one N  first'"), `${dir.path}/cache/flags.json`];
    expect(await flagsOfProgram(path, {}, cache)).toEqual({ flags: ["--one"] });
    // What the first run wrote has changed the directory.
    await flagsOfProgram(path, {}, cache);
    const before = runs(dir.path);
    expect(await flagsOfProgram(path, {}, cache)).toEqual({ flags: ["--one"] });
    expect(runs(dir.path)).toBe(before);
    utimesSync(path, 1, 1);
    await flagsOfProgram(path, {}, cache);
    expect(runs(dir.path)).toBe(before + 1);
  });

  it("tells why a program does not start, and does not remember it", async () => {
    await using dir = await temporaryDir();
    const words = "llama-server: error while loading shared libraries: libllama.so: cannot open shared object file";
    const [path, cache] = [program(dir.path, `echo '${words}' >&2; exit 127`), `${dir.path}/flags.json`];
    expect(await flagsOfProgram(path, {}, cache)).toEqual({ broken: words });
    expect(existsSync(cache)).toBe(false);
  });

  it("remembers eight builds, and takes a damaged memory for an empty one", async () => {
    await using dir = await temporaryDir();
    const cache = writeFor(dir.path, "flags.json", "{");
    for (const key of "abcdefghi") await rememberFlags(key, [`--${key}`], cache);
    expect(await flagsOfImage("a", cache)).toBeUndefined();
    expect(await flagsOfImage("b", cache)).toEqual(["--b"]);
    expect(await flagsOfImage("i", cache)).toEqual(["--i"]);
  });
});
