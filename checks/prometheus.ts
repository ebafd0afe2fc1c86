import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { ask, jsonObject, shownUrl } from "#checks/http-get.ts";
import type { HttpEvidence } from "#checks/http-get.ts";
import { judgeNoAnswer } from "#checks/network.ts";

type PrometheusCheck = CheckOf<"prometheus">;

/** Its own word that its data is loaded, then a query. */
export async function probePrometheus(check: PrometheusCheck, signal: AbortSignal): Promise<Outcome> {
  const get = (path: string) => ask({ url: check.url + path, signal, wantBody: true });
  return (
    judgePrometheusReady(check, await get("/-/ready")) ??
    judgePrometheusQuery(check, await get("/api/v1/query?query=up"))
  );
}

/** Undefined where the query decides. */
export const judgePrometheusReady = (check: PrometheusCheck, evidence: HttpEvidence): Outcome | undefined =>
  judgeStatus(check, "/-/ready", evidence);

/** Which targets are up is what it is there to tell, and no fault of its own. */
export function judgePrometheusQuery(check: PrometheusCheck, evidence: HttpEvidence): Outcome {
  const trouble = judgeStatus(check, "/api/v1/query", evidence);
  if (trouble || "error" in evidence) return trouble ?? foreign(check);
  const { status, data } = (jsonObject(evidence.body) ?? {}) as { status?: unknown; data?: unknown };
  const { result } = (data ?? {}) as { result?: unknown };
  if (status !== "success" || !Array.isArray(result)) return foreign(check);
  const values = result.map((series) => (series as { value?: readonly unknown[] } | null)?.value?.[1]);
  const up = values.filter((value) => value === "1").length;
  return ready(`${shownUrl(check.url)} answered a query: ${up} of ${values.length} targets that were asked are up`);
}

function judgeStatus(check: PrometheusCheck, path: string, evidence: HttpEvidence): Outcome | undefined {
  const where = shownUrl(check.url + path);
  if ("error" in evidence)
    return evidence.error.code.startsWith("HPE_") ? foreign(check) : judgeNoAnswer(where, evidence.error);
  if (evidence.status === 200) return undefined;
  return evidence.status >= 500 ? pending(`${where} answered ${evidence.status}`) : foreign(check);
}

const foreign = ({ url }: PrometheusCheck): Outcome =>
  failed(
    `another program answers on ${shownUrl(url)}: it is no Prometheus`,
    `see who listens: ss -ltnp 'sport = :${new URL(url).port}'`,
  );
