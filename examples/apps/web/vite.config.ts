import { defineConfig } from "vite";

/** Where the stack answers while `npm run dev` serves the page. */
const stack = process.env["STACK_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "./",
  server: { host: "127.0.0.1", proxy: { "/api": stack, "/v1": stack } },
});
