import type { Socket } from "node:net"
import { addressGroup, type AddressReader, plainAddress } from "./client-address.ts"
import { count, type HostCounters } from "./host-counters.ts"

/** Counts TCP connections per address before their first byte: requests that never end could fill a host. */
export interface TcpAdmission {
  /** Returns a function to call when the connection closes, or null when there are too many. */
  open(remoteAddress: string): (() => void) | null
}

/** Connections on their way in or out, on top of those that the limit counts. */
const SPARE_PER_ADDRESS = 50

export function createTcpAdmission(options: {
  readonly reader: AddressReader
  readonly counters: HostCounters
  readonly maxPerAddress: number
}): TcpAdmission {
  const openByGroup = new Map<string, number>()
  const limit = options.maxPerAddress + SPARE_PER_ADDRESS

  return {
    open(remoteAddress) {
      const address = plainAddress(remoteAddress)
      // A proxy stands for many clients, who are counted when their requests name them.
      if (options.reader.isProxy(address)) return () => {}
      const group = addressGroup(address)
      const open = openByGroup.get(group) ?? 0
      if (open >= limit) {
        count(options.counters.rateLimited, "address")
        return null
      }
      openByGroup.set(group, open + 1)
      return () => {
        const left = (openByGroup.get(group) ?? 1) - 1
        if (left === 0) openByGroup.delete(group)
        else openByGroup.set(group, left)
      }
    },
  }
}

export function admitTcp(socket: Socket, admission: TcpAdmission): void {
  const closed = admission.open(socket.remoteAddress ?? "")
  if (closed === null) socket.destroy()
  else socket.once("close", closed)
}
