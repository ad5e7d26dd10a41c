import { memoryIdentity, openRoom, type Diagnostic, type Room, type Transport } from "@dunlin/core"
import type { WebRtcOptions } from "@dunlin/core/webrtc"
import { createMemoryReplica, type MemoryCollection } from "../../packages/core/src/testing/memory-replica.ts"

export interface JoinOptions {
  readonly invite: string
  readonly webrtc: Pick<WebRtcOptions, "signaling" | "privacy" | "iceServers" | "holdMs" | "token">
  readonly replicas?: readonly string[]
  /** In pages: shares one set of connections with the other tabs. "alone": has none itself, like a worker. */
  readonly tabs?: boolean | "alone"
  /** Uses the device's own key, as an application does. Default: a separate key for each member. */
  readonly deviceKey?: boolean
}

/** What a test asks of a room in another process or in a page; arguments and results are JSON. */
export interface RoomDriver {
  join(options: JoinOptions): Promise<RoomFacts>
  set(replica: string, key: string, value: string): Promise<void>
  /** Writes `count` entries of `bytes` characters each. */
  fill(replica: string, prefix: string, count: number, bytes: number): Promise<void>
  get(replica: string, key: string): string | null
  size(replica: string): number
  /** Resolves to the milliseconds that passed; rejects after `timeoutMs`. */
  waitFor(replica: string, key: string, timeoutMs: number): Promise<number>
  waitForPeers(count: number, timeoutMs: number): Promise<number>
  waitForTab(role: string, timeoutMs: number): Promise<number>
  synced(timeoutMs: number, peers?: number): Promise<void>
  facts(): RoomFacts
  /** Writes the time of day under `tick-<n>` every `everyMs`, `count` times. */
  tick(replica: string, count: number, everyMs: number): Promise<void>
  /** From now on, records how many milliseconds each tick of another peer took to arrive. */
  watchTicks(replica: string): void
  ticks(): readonly number[]
  /** What happened since the last call, to explain a failure. */
  diagnostics(): readonly string[]
  setPresence(value: Record<string, unknown> | null): void
  others(): readonly unknown[]
  waitForOthers(count: number, timeoutMs: number): Promise<number>
  reconnect(): void
  leave(): Promise<void>
}

export interface RoomFacts {
  readonly session: string
  readonly device: string
  readonly phase: string
  readonly tab: string
  readonly problem: string | null
  readonly peers: readonly {
    readonly session: string
    readonly device: string
    readonly path: string
    readonly stage: string
  }[]
}

export function createRoomDriver(transports: (options: JoinOptions) => readonly Transport[]): RoomDriver {
  let room: Room | null = null
  const collections = new Map<string, MemoryCollection>()
  let log: string[] = []
  let delays: number[] = []

  const current = (): Room => {
    if (room === null) throw new Error("not joined")
    return room
  }
  const collection = (name: string): MemoryCollection => {
    const found = collections.get(name)
    if (found === undefined) throw new Error(`no replica ${name}`)
    return found
  }
  const facts = (): RoomFacts => {
    const { session, device, status, peers } = current()
    const { phase, tab, problem } = status.get()
    return {
      session,
      device,
      phase,
      tab,
      problem: problem === null ? null : `${problem.code}: ${problem.message}`,
      peers: peers.get().map((peer) => ({
        session: peer.session,
        device: peer.device,
        path: peer.path,
        stage: peer.stage,
      })),
    }
  }
  const wait = async (condition: () => boolean, what: string, timeoutMs: number): Promise<number> => {
    const start = performance.now()
    while (!condition()) {
      if (performance.now() - start > timeoutMs) {
        throw new Error(
          `waited ${timeoutMs} ms for ${what}\n${JSON.stringify(facts())}\n${log.slice(-40).join("\n")}`,
        )
      }
      await new Promise((resolve) => setTimeout(resolve, 4))
    }
    return performance.now() - start
  }

  return {
    async join(options) {
      room = await openRoom({
        invite: options.invite,
        transports: transports(options),
        ...(options.deviceKey === true ? {} : { identity: memoryIdentity() }),
        onDiagnostic: (diagnostic: Diagnostic) => {
          log.push(JSON.stringify(diagnostic))
          if (log.length > 2000) log = log.slice(-1000)
        },
      })
      for (const name of options.replicas ?? ["things"]) {
        collections.set(name, await room.replicate(createMemoryReplica({ name })))
      }
      return facts()
    },
    async set(replica, key, value) {
      await collection(replica).set(key, { value })
    },
    async fill(replica, prefix, count, bytes) {
      const value = "x".repeat(bytes)
      const things = collection(replica)
      for (let from = 0; from < count; from += 100) {
        const batch = Array.from({ length: Math.min(100, count - from) }, (_, index) =>
          things.set(`${prefix}${from + index}`, { value }),
        )
        await Promise.all(batch)
      }
    },
    get: (replica, key) => (collection(replica).get(key)?.["value"] as string | undefined) ?? null,
    size: (replica) => collection(replica).keys.length,
    waitFor: (replica, key, timeoutMs) =>
      wait(() => collection(replica).get(key) !== null, `${replica}/${key}`, timeoutMs),
    waitForPeers: (count, timeoutMs) =>
      wait(() => facts().peers.length === count, `${count} peers`, timeoutMs),
    waitForTab: (role, timeoutMs) => wait(() => facts().tab === role, `tab ${role}`, timeoutMs),
    synced: (timeoutMs, peers = 1) => current().synced({ peers, signal: AbortSignal.timeout(timeoutMs) }),
    facts,
    async tick(replica, count, everyMs) {
      for (let index = 0; index < count; index++) {
        await collection(replica).set(`tick-${index}`, { value: String(Date.now()) })
        await new Promise((resolve) => setTimeout(resolve, everyMs))
      }
    },
    watchTicks(replica) {
      const things = collection(replica)
      delays = []
      things.subscribe((key) => {
        if (key.startsWith("tick-")) delays.push(Date.now() - Number(things.get(key)?.["value"]))
      })
    },
    ticks: () => delays,
    diagnostics: () => log.splice(0),
    setPresence: (value) => current().presence.set(value),
    others: () => [...current().presence.others.get().values()],
    waitForOthers: (count, timeoutMs) =>
      wait(() => current().presence.others.get().size === count, `${count} others`, timeoutMs),
    reconnect: () => current().reconnect(),
    async leave() {
      await room?.close()
      room = null
      collections.clear()
    },
  }
}
