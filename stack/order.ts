/** Names in an order that puts each after what it needs; among equals, the order of the stack file. */
export type Ordered = { readonly order: readonly string[] } | { readonly cycle: readonly string[] };

export function inOrder(needs: ReadonlyMap<string, readonly string[]>): Ordered {
  const order: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (name: string): readonly string[] | undefined => {
    if (done.has(name)) return undefined;
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    path.push(name);
    for (const need of needs.get(name) ?? []) {
      const cycle = visit(need);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(name);
    order.push(name);
    return undefined;
  };
  for (const name of needs.keys()) {
    const cycle = visit(name);
    if (cycle) return { cycle };
  }
  return { order };
}
