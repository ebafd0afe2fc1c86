/**
 * What was seen is an input. All well: the value is empty and the recorded one stays, so nothing changes. Something
 * wrong: the reason and a time, which no earlier run can have recorded, so that plain `up` repairs.
 */
export function driftInput(reason: string | undefined): {
  readonly environment: { readonly DRIFT: string };
  readonly ignoreChanges: string[];
} {
  const environment = { DRIFT: driftText(reason) };
  return { environment, ignoreChanges: reason === undefined ? ["environment.DRIFT"] : [] };
}

export const driftText = (reason: string | undefined): string =>
  reason === undefined ? "" : `${reason} (seen ${new Date().toISOString()})`;
