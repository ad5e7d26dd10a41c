import { describe, expect, test } from "vitest"
import {
  addressGroup,
  createAddressReader,
  isAddressRange,
  isPrivateAddress,
  plainAddress,
  type RequestSource,
} from "./client-address.ts"

const request = (remoteAddress: string, forwarded?: string): RequestSource => ({
  socket: { remoteAddress },
  headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
})

describe("the client behind a request", () => {
  const reader = createAddressReader({
    trustedProxies: ["10.0.0.0/8", "fd00::/8", "127.0.0.1"],
    proxyHeader: "x-forwarded-for",
  })

  test.each([
    ["nobody's header is believed but a proxy's", "192.0.2.1", "203.0.113.9", "192.0.2.1"],
    ["a proxy names its client", "10.1.2.3", "203.0.113.9", "203.0.113.9"],
    ["what the client wrote itself is passed over", "10.1.2.3", "1.2.3.4, 203.0.113.9", "203.0.113.9"],
    ["a chain of proxies is followed", "127.0.0.1", "203.0.113.9, 10.9.9.9", "203.0.113.9"],
    ["a header that is no address counts for nothing", "10.1.2.3", "unknown", "10.1.2.3"],
    ["a missing header leaves the proxy", "10.1.2.3", undefined, "10.1.2.3"],
    ["mapped IPv4 is IPv4", "::ffff:10.1.2.3", "::ffff:203.0.113.9", "203.0.113.9"],
    ["IPv6 works", "fd00::1", "2001:db8::5", "2001:db8::5"],
    ["a port behind the address is dropped", "10.1.2.3", "203.0.113.9:51324", "203.0.113.9"],
    ["so it is for IPv6", "10.1.2.3", "[2001:db8::5]:51324", "2001:db8::5"],
    ["brackets alone as well", "10.1.2.3", "[2001:db8::5]", "2001:db8::5"],
    ["what looks like a port and is none counts for nothing", "10.1.2.3", "203.0.113.9:x", "10.1.2.3"],
  ])("%s", (_name, remote, forwarded, expected) => {
    expect(reader.clientOf(request(remote, forwarded))).toBe(expected)
  })

  test("without trusted proxies the socket's address stands", () => {
    const plain = createAddressReader({ trustedProxies: [], proxyHeader: "x-forwarded-for" })
    expect(plain.clientOf(request("127.0.0.1", "203.0.113.9"))).toBe("127.0.0.1")
  })
})

test.each([
  ["203.0.113.9", "203.0.113.9"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:DB8:1:2::1", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:0db8:0:0::ffff", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["fe80::1", "fe80:0:0:0::/64"],
])("%s counts as %s", (address, group) => expect(addressGroup(plainAddress(address))).toBe(group))

test.each([
  ["10.0.0.1", true],
  ["10.0.0.0/8", true],
  ["10.0.0.0/33", false],
  ["fd00::/8", true],
  ["fd00::/129", false],
  ["10.0.0.0/8/8", false],
  ["example.org", false],
  ["", false],
])("%s as a range: %s", (text, expected) => expect(isAddressRange(text)).toBe(expected))

test.each([
  ["127.0.0.1", true],
  ["172.31.0.9", true],
  ["172.32.0.9", false],
  ["192.168.1.1", true],
  ["203.0.113.9", false],
  ["::1", true],
  ["fd12::1", true],
  ["2001:db8::1", false],
  ["", false],
])("%s is of a network of one's own: %s", (address, expected) => {
  expect(isPrivateAddress(address)).toBe(expected)
})
