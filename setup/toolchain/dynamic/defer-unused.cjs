// The SDK loads npm's own library and the TypeScript compiler for its function serialiser, which few programs use and a
// provider never does: half of a provider's start, and tens of megabytes. Loaded before the SDK, this has them wait
// until something touches them.
const { createRequire, Module } = require("node:module");
const { join } = require("node:path");

function defer(name, from) {
  const path = from.resolve(name);
  if (from.cache[path]) return;
  const stub = new Module(path);
  const real = () => {
    if (from.cache[path] === stub) delete from.cache[path];
    return from(path);
  };
  // `__esModule`: whoever imports the stub keeps it as it is, and copies nothing out of it.
  stub.exports = new Proxy({}, { get: (_, key) => (key === "__esModule" ? true : Reflect.get(real(), key)) });
  stub.loaded = true;
  from.cache[path] = stub;
}

try {
  const sdk = createRequire(createRequire(join(process.cwd(), "index.js")).resolve("@pulumi/pulumi"));
  defer("./typescript-shim.js", sdk);
  defer("@npmcli/arborist", sdk);
} catch {
  // Another SDK than we know: it loads what it likes.
}
