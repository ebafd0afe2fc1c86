/** Something the person who runs the command can put right: printed as it is, without a stack. */
export class UserError extends Error {
  override readonly name = "UserError";
  /** Stable name of the reason, such as `SETUP_MISSING`; listed in docs/errors.md. */
  readonly code: string;
  readonly fix: string | undefined;
  /** 2: wrong use or bad stack file. 1: everything else. */
  readonly exitCode: 1 | 2;

  constructor(
    code: string,
    message: string,
    options: { readonly fix?: string; readonly exitCode?: 1 | 2; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.fix = options.fix;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** The words for any error: those of a {@link UserError} alone, the stack of everything that is our own fault. */
export function explainError(error: unknown): string {
  if (error instanceof UserError) {
    const fix = error.fix === undefined ? "" : ` Fix: ${error.fix}`;
    return `error ${error.code}: ${error.message}${fix}`;
  }
  return error instanceof Error
    ? `error INTERNAL: ${error.stack ?? error.message}`
    : `error INTERNAL: ${String(error)}`;
}

/** The same as the one JSON object that `--json` promises. */
export function errorJson(error: unknown): string {
  const { code, message, fix } =
    error instanceof UserError ? error : { code: "INTERNAL", message: messageOf(error), fix: undefined };
  return JSON.stringify({ error: { code, message, fix: fix ?? null } });
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export function exitCodeOf(error: unknown): number {
  return error instanceof UserError ? error.exitCode : 1;
}
