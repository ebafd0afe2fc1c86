import { local } from "@pulumi/command";

// STEP 1 creates, 2 changes everything, 3 is what a destroy must not see: it acts on the state.
const step = process.env["STEP"] ?? "1";

const first = new local.Command("first", {
  create: `echo "create first ${step}" >> log`,
  update: `echo "update first ${step} $COLOUR" >> log`,
  delete: `echo "delete first ${step} $COLOUR" >> log`,
  environment: { COLOUR: step === "1" ? "red" : step === "2" ? "green" : "blue" },
});

// Without an update text, create runs again.
new local.Command(
  "second",
  { create: `echo "create second ${step}" | tee -a log`, delete: `echo "delete second ${step}" >> log` },
  { dependsOn: first },
);
