// A member in a process of its own that counts its connections and can tell whether anything of it is left.
import { setTimeout as pause } from "node:timers/promises"
import { memoryIdentity, openRoom } from "@dunlin/core"
import type { OpenRoomOptions, Room } from "@dunlin/core"
import { createMemoryReplica } from "@dunlin/core/testing"
import type { MemoryCollection } from "@dunlin/core/testing"
import { webrtc } from "@dunlin/core/webrtc"
import * as wrtc from "node-datachannel/polyfill"

let room: Room | null = null
let things: MemoryCollection | null = null
let given: { readonly invite: string; readonly signaling: string } = { invite: "", signaling: "" }
const open = new Set<RTCPeerConnection>()

class CountedConnection extends wrtc.RTCPeerConnection {
  constructor(configuration: never) {
    super(configuration)
    open.add(this as never)
  }
  override close(): void {
    open.delete(this as never)
    super.close()
  }
}

const options = (): OpenRoomOptions => ({
  invite: given.invite,
  identity: memoryIdentity(),
  transports: [webrtc({ signaling: given.signaling, wrtc: { RTCPeerConnection: CountedConnection } })],
})

export async function join(invite: string, signaling: string): Promise<void> {
  given = { invite, signaling }
  room = await openRoom(options())
  things = await room.replicate(createMemoryReplica({ name: "things" }))
}

export async function write(key: string): Promise<void> {
  await things?.set(key, { value: key })
}

export const keys = (): readonly string[] => [...(things?.keys ?? [])].toSorted()

/** Opens and closes rooms beside the one that stays, each at another moment of its life. */
export async function flicker(lifetimesMs: readonly number[]): Promise<void> {
  await Promise.all(
    lifetimesMs.map(async (lifetimeMs, at) => {
      if (at % 3 === 0) {
        const signal = AbortSignal.timeout(lifetimeMs)
        await openRoom({ ...options(), signal }).catch(() => {})
      } else {
        const brief = await openRoom(options())
        await pause(lifetimeMs)
        await brief.close()
      }
    }),
  )
}

/** The room is closed and opened again in the same process, with what it held. */
export async function reopen(): Promise<void> {
  const held = things
  await room?.close()
  room = await openRoom(options())
  things = await room.replicate(createMemoryReplica({ name: "things" }))
  for (const key of held?.keys ?? []) await things.set(key, { value: key })
}

export function reconnect(times: number): void {
  for (let n = 0; n < times; n++) room?.reconnect()
}

export function facts() {
  globalThis.gc?.()
  const { heapUsed, external, rss } = process.memoryUsage()
  return {
    session: room?.session ?? "",
    peers: (room?.peers.get() ?? []).map(({ session, stage, path }) => ({ session, stage, path })),
    status: room?.status.get(),
    connections: [...open].map(({ connectionState }) => connectionState),
    heapBytes: heapUsed + external,
    rssBytes: rss,
    cpuMs: (process.cpuUsage().user + process.cpuUsage().system) / 1000,
  }
}

export const diagnostics = (): readonly string[] =>
  (room?.diagnostics.recent() ?? []).map((one) => JSON.stringify(one))

/** After the answer nothing of ours should hold the process. */
export async function leave(): Promise<number> {
  await room?.close()
  process.removeAllListeners("disconnect")
  setTimeout(() => process.disconnect(), 20).unref()
  // Whoever waits for the end of the process can read in its output what holds it.
  setTimeout(() => console.log("still held by", process.getActiveResourcesInfo()), 5_000).unref()
  return open.size
}
