import { readFile } from "node:fs/promises";
import { failed } from "#checks/check.ts";
import type { Outcome } from "#checks/check.ts";

/** The text of a secret file without its one trailing newline, or why there is none. Never put `text` in words. */
export type PasswordFile = { readonly text: string } | { readonly outcome: Outcome };

/** Read at each attempt, so that a changed secret counts. Without a file the password is empty. */
export async function readPasswordFile(path: string | undefined): Promise<PasswordFile> {
  if (path === undefined) return { text: "" };
  try {
    const text = (await readFile(path, "utf8")).replace(/\r?\n$/, "");
    if (text === "") return { outcome: failed(`the password file ${path} is empty`, "./engineroom up writes it anew") };
    return { text };
  } catch (error) {
    return { outcome: judgeUnreadable(path, (error as NodeJS.ErrnoException).code ?? "UNKNOWN") };
  }
}

export function judgeUnreadable(path: string, code: string): Outcome {
  if (code === "ENOENT") return failed(`the password file ${path} does not exist`, "./engineroom up writes it anew");
  if (code === "EACCES")
    return failed(
      `the password file ${path} may not be read by this user`,
      `run as the user who owns it: ls -l ${path}`,
    );
  return failed(`the password file ${path} cannot be read (${code})`, `ls -l ${path}`);
}
