// Preloaded into a Node process that must not outlive the engine, which started it.
const parent = process.ppid;
const poll = setInterval(() => {
  if (process.ppid !== parent) process.exit(1);
}, 500);
poll.unref();
