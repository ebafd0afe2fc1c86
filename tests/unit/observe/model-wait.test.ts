import { rmSync, utimesSync } from "node:fs";
import { expect, it } from "vitest";
import { arrivedFile, fileStamp, modelStamp, modelWaitNote, readModelWait } from "#observe/model-wait.ts";
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

it("a file that came while it was waited for stays what its proof was given: nothing", async () => {
  await using dir = await temporaryDir();
  const model = writeFor(dir.path, "model.gguf", "model");
  const wait = `${dir.path}/chat.json`;
  const stamp = fileStamp(model);
  expect(stamp).toMatch(/^5-[\d.]+-\d+$/);
  expect(modelStamp(model, wait)).toBe(stamp);
  writeFor(dir.path, "chat.json.arrived", stamp);
  expect(arrivedFile(wait)).toBe(`${dir.path}/chat.json.arrived`);
  expect(modelStamp(model, wait)).toBe("");
  utimesSync(model, 1, 1);
  expect(modelStamp(model, wait)).toBe(fileStamp(model));
  rmSync(model);
  expect(modelStamp(model, wait)).toBe("");
});
