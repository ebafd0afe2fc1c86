/**
 * What was seen is an input. All well: the value is empty, and the recorded one stays by `ignoreChanges`, so nothing
 * changes. Something wrong: the reason and a time, which no earlier run can have recorded, so that plain `up` repairs.
 */
export const driftText = (reason: string | undefined): string =>
  reason === undefined ? "" : `${reason} (seen ${new Date().toISOString()})`;
