import { local } from "@pulumi/command";

// STEP 1: the second cannot be created. 2: it can. 3: the first cannot be updated. 4: as before the failed update.
const step = process.env["STEP"] ?? "1";

new local.Command("steady", {
  create: "true",
  update: 'echo "update steady" >> log; exit 3',
  delete: 'echo "delete steady $WISH" >> log',
  environment: { WISH: step === "3" ? "new" : "old" },
});
new local.Command("late", {
  create: step === "1" ? "echo spoken; echo gone wrong >&2; exit 7" : "true",
  delete: 'echo "delete late" >> log',
});
