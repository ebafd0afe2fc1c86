import { health, type Health } from "./api.ts";
import { byId, reasonOf } from "./dom.ts";

const names: Readonly<Record<string, string>> = { db: "database", broker: "queue", chat: "model" };

/** Keeps the health line up to date. */
export function showHealth(everyMs: number): void {
  const line = byId("health", HTMLParagraphElement);

  async function refresh(): Promise<void> {
    const [state, text] = await health().then(
      (found) => [found.status, sentence(found)] as const,
      (error: unknown) => ["down", reasonOf(error)] as const,
    );
    line.dataset["state"] = state;
    // Unchanged text stays, so that a screen reader does not repeat it.
    if (line.textContent !== text) line.textContent = text;
    setTimeout(() => void refresh(), everyMs);
  }
  void refresh();
}

function sentence(found: Health): string {
  const down = Object.entries(found.dependencies).filter(([, one]) => one.status !== "ok");
  if (down.length === 0) return "All services work.";
  return down
    .map(([name, one]) => `The ${names[name] ?? name} is down (${one.reason ?? "no reason given"}).`)
    .join(" ");
}
