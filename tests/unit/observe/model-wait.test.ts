import { expect, it } from "vitest";
import { modelWaitNote, readModelWait } from "#observe/model-wait.ts";
import { temporaryDir, writeFor } from "#tests/support/servers.ts";

const wait = { reason: "/m/a.gguf does not exist; waiting for it", until: 1_800_000_000 };

it("a wait can be read while its process lives", async () => {
  await using dir = await temporaryDir();
  expect(readModelWait(writeFor(dir.path, "chat.json", modelWaitNote(wait)))).toEqual(wait);
});

it("the note of a process that was killed says nothing", async () => {
  await using dir = await temporaryDir();
  const note = { ...(JSON.parse(modelWaitNote(wait)) as object), start: 1 };
  expect(readModelWait(writeFor(dir.path, "chat.json", JSON.stringify(note)))).toBeUndefined();
  expect(readModelWait(`${dir.path}/none.json`)).toBeUndefined();
});
