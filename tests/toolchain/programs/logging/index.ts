import { local } from "@pulumi/command";

// One line of 200,001 characters, and then another.
const long = new local.Command("long", {
  create: "head -c 200000 /dev/zero | tr '\\0' x; echo; echo",
  logging: "stdout",
});
export const length = long.stdout.apply((text) => text.length);

const texts = (name: string) => ({ create: `echo ${name}-out | tr a-z a-z; echo ${name}-err >&2` });
for (const logging of ["stdout", "stderr", "stdoutAndStderr", "none"] as const) {
  new local.Command(logging, { ...texts(logging), logging });
}
new local.Command("default", texts("default"));
