import { type IncomingMessage, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { SIGNALING_SUBPROTOCOL } from "@dunlin/core/signaling"
import type { Millis } from "@dunlin/core"
import type { AddressLimits } from "./address-limits.ts"
import { addressGroup, type AddressReader, isPrivateAddress } from "./client-address.ts"
import { count, type HostCounters } from "./host-counters.ts"
import type { HostSettings } from "./host-settings.ts"
import type { ProcessLoad } from "./process-load.ts"

export type UpgradeVerdict =
  | {
      readonly type: "accepted"
      readonly address: string
      readonly addressGroup: string
      readonly origin: string
    }
  | { readonly type: "refused"; readonly status: number; readonly reason: string }

export interface UpgradeGate {
  /** "accepted" means that the connection has been counted for its address. */
  judge(request: IncomingMessage, now: Millis): UpgradeVerdict
}

export function createUpgradeGate(deps: {
  readonly settings: HostSettings
  readonly addresses: AddressLimits
  readonly reader: AddressReader
  readonly counters: HostCounters
  readonly load: ProcessLoad
  readonly isDraining: () => boolean
  readonly socketCount: () => number
  /** There seems to be a proxy that the settings do not name. Called once. */
  readonly proxyIgnored: () => void
}): UpgradeGate {
  const { settings, addresses, counters } = deps
  const origins = new Set(settings.origins)
  let proxyNoted = settings.trustedProxies.length > 0

  const refuse = (status: number, reason: string): UpgradeVerdict => ({ type: "refused", status, reason })

  return {
    judge(request, now) {
      if (deps.isDraining()) return refuse(503, "this host is shutting down")
      if (pathOf(request) !== settings.path) return refuse(404, `WebSockets are accepted on ${settings.path}`)
      const origin = request.headers.origin ?? ""
      if (origins.size > 0 && origin !== "" && !origins.has(origin)) {
        return refuse(403, "this origin is not allowed here")
      }
      if (!offers(request, SIGNALING_SUBPROTOCOL)) {
        return refuse(400, `the subprotocol ${SIGNALING_SUBPROTOCOL} is needed: is this a Dunlin client?`)
      }
      if (deps.socketCount() >= settings.maxSockets || deps.load.overload() !== null) {
        count(counters.rateLimited, "process")
        return refuse(503, "this host is at its limit")
      }
      const address = deps.reader.clientOf(request)
      if (!proxyNoted && settings.proxyHeader in request.headers && isPrivateAddress(address)) {
        proxyNoted = true
        deps.proxyIgnored()
      }
      const group = addressGroup(address)
      const admission = addresses.open(group, now)
      if (admission !== "admitted") {
        count(counters.rateLimited, "address")
        return refuse(429, `too many connections (${admission})`)
      }
      return { type: "accepted", address, addressGroup: group, origin }
    },
  }
}

/** Answers a refused upgrade, and ends the connection. */
export function refuseUpgrade(socket: Duplex, status: number, reason: string): void {
  const body = `${reason}\n`
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n` +
      "Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\n" +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  )
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? ""
  const end = url.indexOf("?")
  return end === -1 ? url : url.slice(0, end)
}

function offers(request: IncomingMessage, protocol: string): boolean {
  const header = request.headers["sec-websocket-protocol"] ?? ""
  return header.split(",").some((offered) => offered.trim() === protocol)
}
