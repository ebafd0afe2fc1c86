import { pending } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";

/** A connection that never came to an answer. Only time can tell, so it is `pending`. */
export interface NoAnswer {
  readonly code: string;
  readonly message: string;
}

/** What is known of an error that a socket or an aborted attempt gave. */
export function noAnswer(error: unknown, signal: AbortSignal): NoAnswer {
  if (signal.aborted) return { code: "TIMEOUT", message: abortWords(signal) };
  // A name with several addresses fails with one error for each of them.
  const cause: unknown = error instanceof AggregateError ? error.errors[0] : error;
  if (!(cause instanceof Error)) return { code: "UNKNOWN", message: String(cause) };
  return { code: (cause as NodeJS.ErrnoException).code ?? "UNKNOWN", message: cause.message };
}

export function judgeNoAnswer(where: string, { code, message }: NoAnswer): Outcome {
  switch (code) {
    case "TIMEOUT":
      return pending(`${where} gave ${message}`);
    case "ECONNREFUSED":
      return pending(`${where} refused the connection`);
    case "ECONNRESET":
    case "EPIPE":
      return pending(`${where} closed the connection without an answer`);
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return pending(`${where}: the host name has no address`);
    default:
      return pending(`${where}: ${message}`);
  }
}

function abortWords(signal: AbortSignal): string {
  const reason: unknown = signal.reason;
  return reason instanceof Error && reason.message.startsWith("no answer") ? reason.message : "no answer in time";
}
