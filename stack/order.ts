export interface Ordered {
  /** Each name after what it needs; among equals, as given. */
  readonly order: readonly string[];
  /** Paths that lead back to where they began: `[a, b, a]`. Where there is one, it has no order. */
  readonly cycles: readonly (readonly string[])[];
}

/** @param needs what each name needs; needs that are no names themselves count for nothing. */
export function inOrder(needs: ReadonlyMap<string, readonly string[]>): Ordered {
  const order: string[] = [];
  const cycles: (readonly string[])[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (name: string): void => {
    if (done.has(name) || !needs.has(name)) return;
    if (path.includes(name)) {
      cycles.push([...path.slice(path.indexOf(name)), name]);
      return;
    }
    path.push(name);
    needs.get(name)?.forEach(visit);
    path.pop();
    done.add(name);
    order.push(name);
  };
  [...needs.keys()].forEach(visit);
  return { order, cycles };
}
