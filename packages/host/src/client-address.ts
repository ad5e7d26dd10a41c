import type { IncomingHttpHeaders } from "node:http"
import { BlockList, isIP, isIPv4, isIPv6 } from "node:net"

/** The parts of a request that tell where it comes from. */
export interface RequestSource {
  readonly socket: { readonly remoteAddress?: string | undefined }
  readonly headers: IncomingHttpHeaders
}

export interface AddressReader {
  /** Whether the address belongs to a proxy whose header is trusted. */
  isProxy(address: string): boolean
  /** The client behind a request: the last hop that is not a trusted proxy. */
  clientOf(request: RequestSource): string
}

export function createAddressReader(options: {
  /** Addresses and CIDR ranges, validated. */
  readonly trustedProxies: readonly string[]
  /** Lower case. */
  readonly proxyHeader: string
}): AddressReader {
  const proxies = blockListOf(options.trustedProxies)

  const isProxy = (address: string): boolean =>
    options.trustedProxies.length > 0 && proxies.check(address, isIPv6(address) ? "ipv6" : "ipv4")

  return {
    isProxy,
    clientOf(request) {
      const direct = plainAddress(request.socket.remoteAddress ?? "")
      if (!isProxy(direct)) return direct
      const header = request.headers[options.proxyHeader]
      const hops = (Array.isArray(header) ? header.join(",") : (header ?? "")).split(",")
      // Read from the right: everything left of the first untrusted hop was written by the client itself.
      for (const hop of hops.reverse()) {
        const address = addressOfHop(hop.trim())
        if (isIP(address) === 0) return direct
        if (!isProxy(address)) return address
      }
      return direct
    },
  }
}

/** Some proxies append the client's port to its address. */
function addressOfHop(hop: string): string {
  const [, bracketed, bare] = /^(?:\[([^\]]*)\]|(\d+\.\d+\.\d+\.\d+))(?::\d+)?$/.exec(hop) ?? []
  return plainAddress(bracketed ?? bare ?? hop)
}

/** One spelling for each client: IPv4-mapped IPv6 becomes plain IPv4, and a zone is dropped. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  return mapped?.[1] ?? address.replace(/%.*$/, "")
}

/** The unit that limits count as one client: an IPv4 address, or a 64-bit IPv6 network. */
export function addressGroup(address: string): string {
  if (!isIPv6(address)) return address
  const [head = "", tail] = address.toLowerCase().split("::")
  const left = head === "" ? [] : head.split(":")
  const right = tail === undefined || tail === "" ? [] : tail.split(":")
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0")
  const groups = tail === undefined ? left : [...left, ...zeros, ...right]
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`
}

/** Whether an address belongs to this machine or to a private network, as a proxy's does. */
export function isPrivateAddress(address: string): boolean {
  return isIP(address) !== 0 && privateRanges.check(address, isIPv6(address) ? "ipv6" : "ipv4")
}

const privateRanges = blockListOf([
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "::1",
  "fc00::/7",
])

export function isAddressRange(text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/")
  if (rest.length > 0 || isIP(address) === 0) return false
  if (bits === undefined) return true
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv4(address) ? 32 : 128)
}

function blockListOf(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = "", bits] = range.split("/")
    const family = isIPv6(address) ? "ipv6" : "ipv4"
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}
