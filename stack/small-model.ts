/** The model that set-up can get anywhere. It stands in for every other one where `settings.models` is `small`. */
export const SMALL_MODEL = {
  file: "gemma-3-270m-q4_k_m.gguf",
  sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
} as const;
