/**
 * What was seen is an input. All well: the value is empty and the recorded one stays, so nothing changes. Something
 * wrong: the reason and a time, which no earlier run can have recorded, so that plain `up` repairs.
 */
export function driftInput(reason: string | undefined): {
  readonly environment: { readonly DRIFT: string };
  readonly ignoreChanges: string[];
} {
  return reason === undefined
    ? { environment: { DRIFT: "" }, ignoreChanges: ["environment.DRIFT"] }
    : { environment: { DRIFT: `${reason} (seen ${new Date().toISOString()})` }, ignoreChanges: [] };
}
