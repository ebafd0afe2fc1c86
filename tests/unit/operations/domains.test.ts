import { expect, it } from "vitest";
import { domains, unknownDomain } from "#operations/domains.ts";
import { planOf } from "#tests/support/stack.ts";

const edge = (domain: string, port: number) => ({ kind: "nginx", domain, port });

it("asks for each domain that is not this machine by itself", async () => {
  const { services } = planOf({
    services: {
      a: edge("lab.example.com", 1001),
      b: edge("gone.example.com", 1002),
      c: edge("lab.localhost", 1003),
      d: { kind: "nginx", port: 1004 },
    },
  });
  const resolve = (name: string) =>
    name === "lab.example.com" ? Promise.resolve("127.0.0.1") : Promise.reject(new Error("ENOTFOUND"));
  expect(await domains(services, resolve)).toEqual([
    { domain: "lab.example.com", address: "127.0.0.1" },
    { domain: "gone.example.com", address: undefined },
  ]);
});

it("names the line that is missing", () =>
  expect(unknownDomain("lab.example.com").fix).toBe(
    "add the line `127.0.0.1  lab.example.com` to /etc/hosts; until then it answers to an explicit Host header",
  ));
