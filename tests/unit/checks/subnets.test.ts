import { describe, expect, it } from "vitest";
import { overlaps, routesIn } from "#checks/subnets.ts";

describe("two subnets overlap", () => {
  it.each<[string, string, boolean]>([
    ["10.77.1.0/24", "10.77.1.0/24", true],
    ["10.77.1.0/24", "10.77.2.0/24", false],
    ["10.77.1.0/24", "10.77.0.0/16", true],
    ["10.77.0.0/16", "10.77.255.0/24", true],
    ["10.77.0.0/16", "10.78.0.0/24", false],
    ["10.77.1.0/24", "10.77.1.255/32", true],
    ["10.77.1.0/24", "10.77.0.255/32", false],
    ["10.77.1.0/24", "10.77.2.0/32", false],
    // As a route has it, with bits beyond its own.
    ["10.77.1.0/24", "10.77.9.9/16", true],
    ["200.0.0.0/8", "200.255.255.255/32", true],
    ["0.0.0.0/0", "10.77.1.0/24", true],
    ["10.77.1.0/24", "fd00::/64", false],
    ["10.77.1.0/24", "nonsense", false],
  ])("%s and %s: %s", (one, other, expected) => {
    expect(overlaps(one, other)).toBe(expected);
    expect(overlaps(other, one)).toBe(expected);
  });
});

describe("routesIn", () => {
  const TABLE = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
br-1\t0001670A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t0100000A\t00000000\t0005\t0\t0\t50\tFFFFFFFF\t0\t0\t0
vpn\t0000000A\t0100000A\t0003\t0\t0\t50\t000000FF\t0\t0\t0
`;

  it("reads /proc/net/route, and leaves the default route out", () =>
    expect(routesIn(TABLE)).toEqual([
      { subnet: "172.17.0.0/16", device: "eth0" },
      { subnet: "10.103.1.0/24", device: "br-1" },
      { subnet: "10.0.0.1/32", device: "tun0" },
      { subnet: "10.0.0.0/8", device: "vpn" },
    ]));

  it.each(["", "Iface\tDestination\n", "head\nlo\n\n"])("finds nothing in %j", (table) =>
    expect(routesIn(table)).toEqual([]),
  );
});
