const DURATION: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** Milliseconds of `90s`, `500ms`, `10m`, `1h`, `15d`; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  return parse(text, DURATION);
}

/** Bytes of `2GiB`, `512MB`; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  return parse(text, SIZE);
}

function parse(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text) ?? [];
  const factor = unit !== undefined && Object.hasOwn(units, unit) ? units[unit] : undefined;
  return factor === undefined ? undefined : Math.round(Number(number) * factor);
}
