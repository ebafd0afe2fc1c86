import { randomBytes } from "node:crypto";

interface Inputs {
  readonly bytes: number;
}

export function create(inputs: Inputs) {
  return Promise.resolve({ id: "generated", outs: { ...inputs, value: newSecret(inputs) } });
}

/** Another length is another secret; anything else keeps it. */
export function update(_id: string, olds: Inputs & { readonly value: string }, inputs: Inputs) {
  const value = olds.bytes === inputs.bytes ? olds.value : newSecret(inputs);
  return Promise.resolve({ outs: { ...inputs, value } });
}

const newSecret = ({ bytes }: Inputs): string => randomBytes(bytes).toString("base64url");
