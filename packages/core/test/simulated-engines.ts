// Engines on simulated links in virtual time, for tests that meddle with one side or with what lies between.
import type { AttachedReplica, JoinOutcome, Replica } from "../src/ports/replica.ts"
import type { Lane } from "../src/ports/transport.ts"
import type { AnnounceFrame, Frame } from "../src/protocol/frame.ts"
import { bytesToHex } from "../src/protocol/hex.ts"
import { decodeMessage } from "../src/protocol/message.ts"
import type { PresenceSigner } from "../src/room/presence-relay.ts"
import type { PeerRole } from "../src/room/room.ts"
import { createSyncEngine } from "../src/room/sync-engine.ts"
import type { LinkInput, SecureLink, SyncEngine } from "../src/room/sync-engine-api.ts"
import { createMemoryReplica, type MemoryCollection } from "../src/testing/memory-replica.ts"
import { createSeededRandom } from "../src/testing/seeded-random.ts"
import type { SimulatedTime } from "../src/testing/simulated-clock.ts"

export interface Node {
  readonly engine: SyncEngine
  readonly session: string
  readonly device: string
  readonly told: string[]
}

/** Shared by all engines made here. */
export const DIGEST_KEY: Uint8Array = new Uint8Array(32).fill(7)

export interface NodeOptions {
  readonly signer?: PresenceSigner
  /** 64 hex digits. Default: one of its own. */
  readonly device?: string
}

export function createNode(time: SimulatedTime, name: string, options: NodeOptions = {}): Node {
  const { signer } = options
  const random = createSeededRandom(name)
  const sessionId = random.bytes(16)
  const ownDevice = bytesToHex(random.bytes(32))
  const { device = ownDevice } = options
  const told: string[] = []
  const engine = createSyncEngine({
    clock: time.clock(),
    random,
    sessionId,
    device,
    digestKey: DIGEST_KEY,
    roomTag: new Uint8Array(32).fill(8),
    ...(signer !== undefined && { signer }),
    events: {
      presence: (_session, value) => void told.push(`presence ${value === null ? "none" : value.length}`),
      replicaReport: (_replica, report) => void told.push(`report ${report.type}`),
      violation: (_session, code) => void told.push(`violation ${code}`),
      reconciled: () => {},
      refused: (_session, _replica, reason, by) => void told.push(`refused ${reason} by ${by}`),
    },
  })
  return { engine, session: bytesToHex(sessionId), device, told }
}

export interface Wire {
  /** Frames as they were sent, from the first node and from the second. */
  readonly sent: readonly [Frame[], Frame[]]
  readonly closings: string[]
  /** What `buffered` reports on both sides. */
  buffered: number
  cut(): void
}

export interface WireOptions {
  readonly delayMs?: number
  /** The role that each node's room gives the other. */
  readonly roles?: readonly [PeerRole, PeerRole]
}

export function connect(
  time: SimulatedTime,
  [a, b]: readonly [Node, Node],
  { delayMs = 10, roles = ["writer", "writer"] }: WireOptions = {},
): Wire {
  const inputs: LinkInput[] = []
  let open = true
  const wire: Wire = {
    sent: [[], []],
    closings: [],
    buffered: 0,
    cut() {
      if (!open) return
      open = false
      for (const input of inputs) input.closed("cut")
    },
  }
  const linkTo = (to: Node, from: 0 | 1, role: PeerRole): SecureLink => ({
    session: to.session,
    device: to.device,
    role,
    maxMessageBytes: 65_536,
    send(lane: Lane, message: Uint8Array) {
      wire.sent[from].push(...decodeMessage(message).map(({ frame }) => frame))
      const copy = message.slice()
      time.schedule(delayMs, () => open && inputs[1 - from]?.message(lane, copy))
    },
    buffered: () => wire.buffered,
    close(reason) {
      wire.closings.push(reason)
      time.schedule(0, wire.cut)
    },
  })
  inputs.push(a.engine.addLink(linkTo(b, 0, roles[0])), b.engine.addLink(linkTo(a, 1, roles[1])))
  return wire
}

/** Documents under the name "notes". */
export function memory(
  more: Partial<Pick<Replica, "name" | "schemaTag" | "direction">> = {},
): Replica<MemoryCollection> {
  return { ...createMemoryReplica({ name: "notes" }), ...more }
}

/** A memory replica, some of whose methods are replaced while it is attached. */
export function meddled(
  replace: (attached: AttachedReplica) => Partial<AttachedReplica>,
  direction: Replica["direction"] = "both",
): Replica<MemoryCollection> {
  const inner = createMemoryReplica({ name: "notes", direction })
  return {
    ...inner,
    async attach(host, options) {
      const attached = await inner.attach(host, options)
      return { ...attached, ...(replace(attached) as Partial<AttachedReplica<MemoryCollection>>) }
    },
  }
}

/** A replica that takes nothing under the key "forbidden". */
export function refusing(): Replica<MemoryCollection> {
  return meddled(({ join }) => ({
    async join(entries, peer) {
      const allowed = entries.filter(({ key }) => key !== "forbidden")
      const outcomes = [...(await join(allowed, peer))]
      const refused: JoinOutcome = { type: "refused", reason: "forbidden here" }
      return entries.map(({ key }) => (key === "forbidden" ? refused : (outcomes.shift() ?? refused)))
    },
  }))
}

/** What a peer without entries announces for the replica `memory()`. */
export const announceNotes: AnnounceFrame = {
  type: "announce",
  slot: 0,
  name: "notes",
  kind: 0,
  schemaTag: "1",
  direction: "both",
  count: 0,
  root: new Uint8Array(16),
  basis: null,
}
