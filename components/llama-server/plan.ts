import type { z } from "zod";
import type { Problem } from "#stack/problems.ts";
import { didYouMean } from "#stack/problems.ts";
import { defineKind, LOOPBACK, type KindPlan, type PlanContext } from "../kind.ts";
import { llamaServerSettings } from "./settings.ts";

const TEMPLATE_FILE = "chat-template.jinja";

type Settings = z.output<typeof llamaServerSettings>;

function plan(settings: Omit<Settings, "env">, context: PlanContext): KindPlan | Problem {
  const model = context.models.get(settings.model);
  if (!model) return undeclared(settings.model, context);
  const url = `http://${LOOPBACK}:${context.port}`;
  return {
    // Context and slots are always given: the server would shrink what is left open to what fits (`--fit`).
    argv: [
      context.tool("llama-server").path,
      ...["--model", model.path, "--alias", model.name],
      ...["--host", LOOPBACK, "--port", String(context.port)],
      ...["--ctx-size", String(settings.contextSize), "--parallel", String(settings.parallel)],
      ...(settings.threads ? ["--threads", String(settings.threads)] : []),
      ...(model.mmproj ? ["--mmproj", model.mmproj] : []),
      ...(settings.chatTemplate ? ["--chat-template-file", TEMPLATE_FILE] : []),
    ],
    ...(settings.chatTemplate && {
      files: [{ path: TEMPLATE_FILE, mode: "0600", content: [settings.chatTemplate] }],
    }),
    tools: ["llama-server"],
    model,
    check: { kind: "llama-server", url, alias: model.name, contextSize: settings.contextSize },
    readyTimeoutMs: 300_000,
    // Long enough for the answer under way; the server frees its memory afterwards.
    stopGraceMs: 30_000,
  };
}

function undeclared(model: string, context: PlanContext): Problem {
  const declared = [...context.models.keys()];
  return {
    code: "MODEL_UNDECLARED",
    where: `services.${context.name}.model`,
    expected: `a model of engineroom:models (${declared.join(", ") || "none is declared"})`,
    got: `\`${model}\``,
    fix: didYouMean(model, declared) ?? `declare it: engineroom:models: { ${model}: { file: … } }`,
  };
}

export const llamaServer = defineKind<Settings>({
  settings: llamaServerSettings,
  className: "LlamaServer",
  defaultPort: 8081,
  outputs: (_settings, context) => ({
    host: [LOOPBACK],
    port: [String(context.port)],
    url: [`http://${LOOPBACK}:${context.port}`],
  }),
  plan,
});
