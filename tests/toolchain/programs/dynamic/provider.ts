import { appendFileSync } from "node:fs";

export interface State {
  readonly text: string;
}

interface Outputs extends State {
  readonly pid: number;
}

export function create(inputs: State): { id: string; outs: Outputs } {
  appendFileSync("log", `create ${inputs.text}\n`);
  return { id: "note", outs: { ...inputs, pid: process.pid } };
}

export function update(id: string, olds: State, news: State): { outs: Outputs } {
  appendFileSync("log", `update ${id} ${olds.text} -> ${news.text}\n`);
  return { outs: { ...news, pid: process.pid } };
}

export function remove(id: string, olds: State): void {
  appendFileSync("log", `delete ${id} ${olds.text}\n`);
}
