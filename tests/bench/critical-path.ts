/** A way through `needs`, each service after the one before. */
export interface Path {
  readonly names: readonly string[];
  readonly seconds: number;
}

/**
 * The longest way through `needs`: nothing that keeps the order can be faster.
 *
 * @param services in an order that puts every service after what it needs.
 */
export function criticalPath(
  services: readonly { readonly name: string; readonly needs: readonly string[] }[],
  secondsOf: ReadonlyMap<string, number>,
): Path {
  const paths = new Map<string, Path>();
  for (const { name, needs } of services) {
    const before = longest(needs.flatMap((need) => paths.get(need) ?? []));
    paths.set(name, { names: [...before.names, name], seconds: before.seconds + (secondsOf.get(name) ?? 0) });
  }
  return longest([...paths.values()]);
}

const longest = (paths: readonly Path[]): Path =>
  paths.reduce((best, path) => (path.seconds > best.seconds ? path : best), { names: [], seconds: 0 });
