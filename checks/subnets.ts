/** `10.77.1.0/24` */
export type Subnet = string;

interface Range {
  readonly first: number;
  readonly last: number;
}

/** Undefined for IPv6. */
function rangeOf(subnet: Subnet): Range | undefined {
  const [, address, bits] = /^((?:\d{1,3}\.){3}\d{1,3})\/(\d{1,2})$/.exec(subnet) ?? [];
  if (address === undefined || bits === undefined) return undefined;
  const value = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(value / size) * size;
  return { first, last: first + size - 1 };
}

export function overlaps(one: Subnet, other: Subnet): boolean {
  const [a, b] = [rangeOf(one), rangeOf(other)];
  return a !== undefined && b !== undefined && a.first <= b.last && b.first <= a.last;
}

/** @param table /proc/net/route; the default route is left out, for it overlaps with everything. */
export function routesIn(table: string): readonly { readonly subnet: Subnet; readonly device: string }[] {
  return table
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [device, destination, , , , , , mask] = line.trim().split(/\s+/);
      if (device === undefined || destination === undefined || mask === undefined || mask === "00000000") return [];
      const bits = Number.parseInt(mask, 16).toString(2).replaceAll("0", "").length;
      return [{ subnet: `${[...Buffer.from(destination, "hex")].reverse().join(".")}/${bits}`, device }];
    });
}
