import { flushCompileCache } from "node:module";

/**
 * Keeps what Node has compiled so far for the next process: Pulumi ends this one by a signal, before Node would do so by
 * itself. Half of a provider's start is compiling. Costs nothing where no NODE_COMPILE_CACHE is set or all is kept.
 */
export const keepCompiled = (): void => void setImmediate(flushCompileCache);
