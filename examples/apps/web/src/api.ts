/** A question as the API shows it. */
export interface Question {
  readonly id: number;
  readonly text: string;
  readonly status: "queued" | "answering" | "answered" | "failed";
  /** The answer, or the reason of a failure. */
  readonly answer: string | null;
  readonly prompt_tokens: number | null;
  readonly completion_tokens: number | null;
  readonly seconds: number | null;
}

export interface Dependency {
  readonly status: "ok" | "down";
  readonly latency_ms: number;
  readonly reason: string | null;
}

export interface Health {
  readonly status: "ok" | "down";
  readonly dependencies: Readonly<Record<string, Dependency>>;
}

export async function askQuestion(text: string): Promise<number> {
  const response = await fetch("/api/questions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ text }),
  });
  return (await bodyOf<{ readonly id: number }>(response, [202])).id;
}

export async function latestQuestions(limit: number): Promise<readonly Question[]> {
  return bodyOf<readonly Question[]>(await fetch(`/api/questions?limit=${limit}`), [200]);
}

/** Also resolves when a dependency is down: the API says so with 503 and the same body. */
export async function health(): Promise<Health> {
  return bodyOf<Health>(await fetch("/api/health"), [200, 503]);
}

async function bodyOf<T>(response: Response, expected: readonly number[]): Promise<T> {
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json") ?? false;
  if (expected.includes(response.status) && isJson) return (await response.json()) as T;
  throw new Error(isJson ? describe(await response.json()) : `The server answered ${response.status}.`);
}

function describe(body: unknown): string {
  const { detail } = body as { readonly detail?: string | readonly { readonly msg: string }[] };
  return typeof detail === "string"
    ? detail
    : (detail?.map((one) => one.msg).join(", ") ?? "The server gave no reason.");
}
