import { describe, expect, it } from "vitest";
import { parseClients } from "#checks/connections.ts";

const line = (address: string, more = "") =>
  `id=7 addr=${address} laddr=127.0.0.1:6379 fd=8 name=w@x age=2 idle=1 flags=b db=3 sub=0 cmd=client|list user=default${more}`;

describe("parseClients", () => {
  const client = { name: "w@x", database: 3, command: "client|list", idle: 1 };
  it.each([
    ["127.0.0.1:4242", "127.0.0.1"],
    ["[::1]:4242", "::1"],
    ["[::ffff:10.1.2.3]:4242", "::ffff:10.1.2.3"],
  ])("reads %s", (address, host) =>
    expect(parseClients(`${line(address, " lib-name=redis-py lib-ver=8")}\n`)).toEqual([
      { ...client, host, port: 4242 },
    ]),
  );

  it("leaves out unix sockets and what is no line", () =>
    expect(parseClients(`${line("/run/redis.sock:0")}\n\nnonsense\n`)).toEqual([]));
});
