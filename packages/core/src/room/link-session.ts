import type { Clock } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"
import type { ReplicaLinkStatus } from "../ports/replica.ts"
import type { Lane } from "../ports/transport.ts"
import { bytesEqual, bytesToHex, hexToBytes, mapKey, startsWithBytes } from "../protocol/bytes-equal.ts"
import { DecodeError } from "../protocol/decode-error.ts"
import type { AnnounceFrame, DataFrame, Frame, NakItem, PushFrame } from "../protocol/frame.ts"
import { createInbox, type LargeEntryGate, type Receipt, type ReceivedPayload } from "../protocol/inbox.ts"
import {
  BULK_MESSAGE_BYTES,
  MAX_ENTRY_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_REASON_BYTES,
  PROTOCOL_VERSION,
  SHORT_DIGEST_BYTES,
} from "../protocol/limits.ts"
import { decodeMessage } from "../protocol/message.ts"
import { createOutbox } from "../protocol/outbox.ts"
import type { WantedTable } from "../protocol/wanted-table.ts"
import { type BlobExchange, createBlobExchange } from "./blob-exchange.ts"
import { createHeartbeat } from "./heartbeat.ts"
import {
  createLinkReplica,
  type LinkReplica,
  type Permissions,
  type ReconcileReport,
} from "./link-replica.ts"
import type { ReconcileLease } from "./reconcile-lease.ts"
import type { LinkCounters } from "./room.ts"
import type { JoinResult, SharedReplica, Transition } from "./shared-replica.ts"
import type { LinkInput, LinkStatus, SecureLink } from "./sync-engine-api.ts"

/** A replica of the room with what its links share. */
export interface RoomReplica {
  readonly shared: SharedReplica
  readonly wanted: WantedTable
  readonly lease: ReconcileLease
}

export interface LinkSessionOptions {
  readonly link: SecureLink
  /** Our session id. */
  readonly sessionId: Uint8Array
  readonly clock: Clock
  readonly random: Random
  readonly gate: LargeEntryGate
  readonly replicas: () => Iterable<RoomReplica>
  readonly linkedSessions: () => readonly string[]
  readonly presence: () => Uint8Array | null
  readonly events: LinkSessionEvents
}

export interface LinkSessionEvents {
  /** A join changed an entry: others may want it. `push` when the peer's own push led exactly here. */
  joined(source: LinkSession, replica: RoomReplica, transition: Transition, push: PushFrame | null): void
  wantedChanged(replica: RoomReplica): void
  presence(value: Uint8Array | null): void
  statusChanged(): void
  confirmed(replica: RoomReplica, position: Uint8Array | null): void
  reconciled(replica: RoomReplica, report: ReconcileReport): void
  refused(replica: RoomReplica, reason: string, by: "us" | "them"): void
  violation(code: string, detail: string): void
  closed(reason: string): void
}

/** The sync conversation with one peer: frames in and out, for all replicas of the room. */
export interface LinkSession extends LinkInput {
  readonly session: string
  readonly link: SecureLink
  /** By replica name; only replicas that both sides share. */
  readonly replicas: ReadonlyMap<string, LinkReplica>
  /** Whether the peer says that it is linked to that session. */
  isLinkedTo(session: string): boolean
  /** A replica was added to the room. */
  added(replica: RoomReplica): void
  removed(replica: RoomReplica): void
  sendLinks(): void
  sendPresence(value: Uint8Array | null): void
  /** Asks for entries; empty summaries ask for everything. */
  want(replica: RoomReplica, positions: readonly Uint8Array[]): void
  flush(): void
  /** Reads and sends what is queued while there is room for it. */
  pump(): void
  retryLarge(): void
  status(): LinkStatus
  statusOf(replica: RoomReplica): ReplicaLinkStatus
  counters(): LinkCounters
  bye(reason: string): void
}

export const NOT_AN_ENTRY: Uint8Array = new Uint8Array(0)
/** Bytes of entries read for a peer in one go, as far as the average tells. */
const READ_TARGET_BYTES = 262_144
const FIRST_READ_ENTRIES = 16
const MAX_READ_ENTRIES = 512
/** A summary longer than this does not fit a control message: the entry is asked for as a whole. */
const MAX_SENT_SUMMARY_BYTES = 12_288

export function createLinkSession(options: LinkSessionOptions): LinkSession {
  const { link, clock, events } = options
  const outbox = createOutbox(link)
  const inbox = createInbox(options.gate)
  const peer = { session: link.session, device: link.device }
  const initiator = bytesToHex(options.sessionId) < link.session
  const replicasByName = new Map<string, LinkReplica>()
  const roomReplicaByName = new Map<string, RoomReplica>()
  const announcedBySlot = new Map<number, AnnounceFrame>()
  const pendingInByReplica = new Map<RoomReplica, number>()
  let linkedTo: ReadonlySet<string> = new Set()
  let greeted = false
  let refusesEntries = false
  let closed = false
  let averageEntryBytes = READ_TARGET_BYTES / FIRST_READ_ENTRIES
  let reads = 0
  let bytesIn = 0
  let framesIn = 0

  const flush = (): void => {
    if (closed) return
    for (const frame of inbox.answers()) outbox.control(frame)
    outbox.flush()
  }

  const end = (reason: string, penalise: boolean): void => {
    if (closed) return
    dispose()
    link.close(reason, { penalise })
    events.closed(reason)
  }

  const dispose = (): void => {
    closed = true
    heartbeat.close()
    blobs.close()
    inbox.close()
    for (const replica of replicasByName.values()) replica.close()
  }

  const violate = (error: DecodeError): void => {
    events.violation(error.code, error.message)
    end(`protocol violation: ${error.message}`, true)
  }

  const heartbeat = createHeartbeat({
    clock,
    random: options.random,
    ping: (nonce) => {
      outbox.control({ type: "ping", nonce })
      const roots = [...replicasByName.values()]
        .filter((replica) => replica.permissions.send && replica.permissions.receive)
        .map((replica) => replica.rootItem(initiator))
      if (roots.length > 0) outbox.control({ type: "root", roots })
      flush()
    },
    silent: () => end("silent", false),
    measured: events.statusChanged,
  })

  const pendingIn = (replica: RoomReplica): number =>
    (pendingInByReplica.get(replica) ?? 0) + replica.wanted.pending(link.session)

  const addPendingIn = (replica: RoomReplica, change: number): void => {
    pendingInByReplica.set(replica, (pendingInByReplica.get(replica) ?? 0) + change)
  }

  const permissionsFor = (shared: SharedReplica, theirs: AnnounceFrame): Permissions => {
    const { direction } = shared.replica
    const mayReceive = direction !== "send-only" && theirs.direction !== "receive-only"
    const maySend = direction !== "receive-only" && theirs.direction !== "send-only"
    return { send: maySend && !refusesEntries, receive: mayReceive && link.role === "writer" }
  }

  /** Begins a replica once both sides have announced it under one kind and schema. */
  const match = (replica: RoomReplica): void => {
    const { shared } = replica
    const { name } = shared.replica
    const announced = announcementOf(name)
    if (announced === undefined || replicasByName.has(name) || mismatchOf(shared, announced) !== null) return
    const linkReplica = createLinkReplica({
      session: link.session,
      shared,
      announced,
      initiator,
      permissions: permissionsFor(shared, announced),
      outbox,
      lease: replica.lease,
      clock,
      random: options.random,
      pendingIn: () => pendingIn(replica),
      want: (position) => {
        replica.wanted.add(mapKey(position), link.session, clock.monotonic())
        events.wantedChanged(replica)
      },
      // Timers of the replica end here too, so the frames they queued leave at once.
      pump: () => {
        pump()
        flush()
      },
      changed: events.statusChanged,
      reconciled: (report) => events.reconciled(replica, report),
    })
    replicasByName.set(name, linkReplica)
    roomReplicaByName.set(name, replica)
    linkReplica.start()
    events.statusChanged()
  }

  const announcementOf = (name: string): AnnounceFrame | undefined => {
    for (const announced of announcedBySlot.values()) if (announced.name === name) return announced
    return undefined
  }

  const unmatch = (name: string): void => {
    replicasByName.get(name)?.close()
    replicasByName.delete(name)
    const replica = roomReplicaByName.get(name)
    roomReplicaByName.delete(name)
    if (replica !== undefined) replica.wanted.dropLink(link.session, clock.monotonic())
    events.statusChanged()
  }

  const announce = ({ shared }: RoomReplica): void => {
    const { name, kind, schemaTag, direction } = shared.replica
    const { count } = shared.index
    const root = shared.index.root()
    outbox.control({ type: "announce", slot: shared.slot, name, kind, schemaTag, direction, count, root })
  }

  /** What a frame's slot means here; null when one side has just added or withdrawn it. */
  const at = (slot: number): { readonly room: RoomReplica; readonly own: LinkReplica } | null => {
    const name = announcedBySlot.get(slot)?.name
    if (name === undefined) throw new DecodeError("protocol-violation", "slot never announced")
    const own = replicasByName.get(name)
    const room = roomReplicaByName.get(name)
    return own === undefined || room === undefined ? null : { room, own }
  }

  const dispatch = (frame: Frame, lane: Lane, size: number): void => {
    if (!greeted && frame.type !== "hello") throw new DecodeError("protocol-violation", "frame before HELLO")
    switch (frame.type) {
      case "hello":
        if (greeted || bytesToHex(frame.session) !== link.session) {
          throw new DecodeError("protocol-violation", "HELLO repeated or of another session")
        }
        greeted = true
        refusesEntries = frame.refusesEntries
        outbox.capMessages(frame.maxMessageBytes)
        return
      case "announce":
        if (announcedBySlot.has(frame.slot)) unmatch((announcedBySlot.get(frame.slot) as AnnounceFrame).name)
        if (announcementOf(frame.name) !== undefined) {
          throw new DecodeError("protocol-violation", "one replica in two slots")
        }
        announcedBySlot.set(frame.slot, frame)
        for (const replica of options.replicas())
          if (replica.shared.replica.name === frame.name) match(replica)
        events.statusChanged()
        return
      case "withdraw": {
        const announced = announcedBySlot.get(frame.slot)
        if (announced === undefined) return
        unmatch(announced.name)
        // The slot stays known: frames about it may still be under way on the other lane.
        return
      }
      case "range":
        at(frame.slot)?.own.range(frame)
        return
      case "range-ack":
        at(frame.slot)?.own.rangeAck(frame)
        return
      case "root":
        for (const item of frame.roots) {
          const target = at(item.slot)
          target?.own.root(item)
          if (target?.own.phase === "live" && target.own.pendingOut === 0) events.confirmed(target.room, null)
        }
        return
      case "data":
      case "push":
      case "chunk":
      case "fragment": {
        const payload = inbox.receive(lane, frame, size)
        if (payload !== null) received(payload)
        return
      }
      case "ack":
        acknowledged(frame.control, frame.bulk)
        return
      case "nak":
        for (const item of frame.items) refusedByPeer(frame.slot, item)
        return
      case "have":
        for (const { position, digest } of frame.items) offered(frame.slot, position, digest)
        return
      case "offer":
        for (const { position, digest } of frame.items) {
          offered(frame.slot, position, digest.subarray(0, SHORT_DIGEST_BYTES))
        }
        return
      case "want": {
        const target = at(frame.slot)
        if (target === null || !target.own.permissions.send) return
        for (const { position, summary } of frame.items) target.own.queue.addEntry(position, summary)
        pump()
        return
      }
      case "credit":
        outbox.credited(frame.total)
        pump()
        return
      case "links":
        linkedTo = new Set(frame.sessions.map(bytesToHex))
        return
      case "presence":
        events.presence(frame.value)
        return
      case "chunk-want":
        blobs.wanted(at(frame.slot)?.own ?? null, frame)
        return
      case "ping":
        outbox.control({ type: "pong", nonce: frame.nonce })
        return
      case "pong":
        heartbeat.pong(frame.nonce)
        return
      case "bye":
        end(`peer left: ${frame.reason}`, false)
        return
    }
  }

  const received = ({ frame, receipt }: ReceivedPayload): void => {
    const target = at(frame.slot)
    if (target === null || !target.own.permissions.receive) {
      inbox.settle(receipt)
      return
    }
    if (frame.type === "chunk") {
      blobs.received(frame, receipt)
      return
    }
    const { shared } = target.room
    if (frame.kind !== shared.replica.kind) throw new DecodeError("protocol-violation", "kind of entry")
    const position = shared.digests.position(frame.key)
    const theirs = frame.type === "data" ? frame.digest : frame.after
    target.own.peerHolds(position, theirs)
    target.room.wanted.resolve(mapKey(position))
    const held = shared.index.get(position)?.digest
    if (held !== undefined && startsWithBytes(held, theirs)) {
      inbox.settle(receipt)
      target.own.check()
      return
    }
    join(target.room, target.own, frame, receipt, position)
  }

  const join = (
    room: RoomReplica,
    own: LinkReplica,
    frame: DataFrame | PushFrame,
    receipt: Receipt,
    position: Uint8Array,
  ): void => {
    addPendingIn(room, 1)
    room.shared.join({
      peer,
      key: frame.key,
      delta: frame.delta,
      settle(result) {
        addPendingIn(room, -1)
        if (closed) return
        joined(room, own, frame, receipt, position, result)
        flush()
      },
    })
  }

  const joined = (
    room: RoomReplica,
    own: LinkReplica,
    frame: DataFrame | PushFrame,
    receipt: Receipt,
    position: Uint8Array,
    result: JoinResult,
  ): void => {
    const theirs = frame.type === "data" ? frame.digest : frame.after
    if (result.type === "failed") {
      refuse(room, position, theirs, "storage-failed")
    } else if (result.outcome.type === "refused") {
      refuse(room, position, theirs, result.outcome.reason)
    } else if (result.outcome.type === "incomplete") {
      room.wanted.add(mapKey(position), link.session, clock.monotonic())
      events.wantedChanged(room)
    } else if (result.outcome.type === "missing-blobs") {
      const retry = (): void => join(room, own, frame, receipt, position)
      const drop = (): void => inbox.settle(receipt)
      if (blobs.fetch(own, frame.key, position, result.outcome.blobs, frame.delta.length, retry, drop)) return
    } else if (result.transition !== null) {
      const { senderLacks, changed } = result.outcome
      const { transition } = result
      if (changed) own.exchanged("received")
      const equal = transition.after !== null && startsWithBytes(transition.after, theirs)
      if (senderLacks !== null && own.permissions.send) own.queue.addEntry(position, senderLacks)
      if (!equal && frame.type === "push" && transition.after !== null) {
        own.announce(position, transition.after, 0)
        if (senderLacks === null) {
          const at = clock.monotonic() + 50 + options.random.unit() * 150
          room.wanted.add(mapKey(position), link.session, at)
          events.wantedChanged(room)
        }
      }
      if (changed) events.joined(self, room, transition, equal && frame.type === "push" ? frame : null)
    }
    inbox.settle(receipt)
    own.check()
    pump()
  }

  const refuse = (room: RoomReplica, position: Uint8Array, digest: Uint8Array, reason: string): void => {
    outbox.control({
      type: "nak",
      slot: room.shared.slot,
      items: [{ position, digest, reason: shorten(reason) }],
    })
    events.refused(room, reason, "us")
  }

  const refusedByPeer = (slot: number, item: NakItem): void => {
    const target = at(slot)
    if (target === null) return
    const held = target.room.shared.index.get(item.position)?.digest
    if (held !== undefined && startsWithBytes(held, item.digest) && item.reason !== "storage-failed") {
      target.own.refused.set(mapKey(item.position), held)
      target.own.unconfirmed.confirmed(mapKey(item.position), target.own.unconfirmed.changes)
    }
    events.refused(target.room, item.reason, "them")
    target.own.check()
  }

  const acknowledged = (control: number, bulk: number): void => {
    const references = outbox.acknowledged(control, bulk)
    if (references === null) throw new DecodeError("protocol-violation", "acknowledges what was never sent")
    for (const reference of references) {
      for (const [name, own] of replicasByName) {
        if (own.shared.slot !== reference.slot) continue
        const key = mapKey(reference.position)
        const refusedDigest = own.refused.get(key)
        own.unconfirmed.confirmed(key, reference.changes)
        if (refusedDigest !== undefined && startsWithBytes(refusedDigest, reference.digest)) continue
        own.exchanged("sent")
        own.peerHolds(reference.position, reference.digest)
        const room = roomReplicaByName.get(name)
        if (room !== undefined) events.confirmed(room, reference.position)
      }
    }
    for (const own of replicasByName.values()) own.check()
    events.statusChanged()
    pump()
  }

  const offered = (slot: number, position: Uint8Array, digest: Uint8Array): void => {
    const target = at(slot)
    if (target === null) return
    target.own.peerHolds(position, digest)
    const held = target.room.shared.index.get(position)?.digest
    if (held !== undefined && startsWithBytes(held, digest)) {
      target.room.wanted.resolve(mapKey(position))
      events.confirmed(target.room, position)
      return
    }
    if (!target.own.permissions.receive) return
    const delayMs = 50 + options.random.unit() * 150
    target.room.wanted.add(mapKey(position), link.session, clock.monotonic() + delayMs)
    events.wantedChanged(target.room)
  }

  /** Round robin over the replicas, one read each, so that a large one does not hold the others back. */
  const pump = (): void => {
    if (closed) return
    for (const own of replicasByName.values()) {
      if (!outbox.wantsBulk || reads >= 2) return
      if (own.reading > 0 || !own.permissions.send) continue
      const limit = Math.max(1, Math.min(MAX_READ_ENTRIES, Math.floor(READ_TARGET_BYTES / averageEntryBytes)))
      const entries = own.queue
        .take(limit)
        .map((entry) => ({ ...entry, held: own.shared.index.get(entry.position) }))
        .filter(({ position, held }) => held !== null && !isRefused(own, position, held.digest))
      if (entries.length > 0) void send(own, entries as readonly ReadableEntry[])
    }
    blobs.pump()
  }

  const isRefused = (own: LinkReplica, position: Uint8Array, digest: Uint8Array): boolean => {
    const refusedDigest = own.refused.get(mapKey(position))
    return refusedDigest !== undefined && bytesEqual(refusedDigest, digest)
  }

  const send = async (own: LinkReplica, entries: readonly ReadableEntry[]): Promise<void> => {
    const { shared } = own
    reads++
    own.reading += entries.length
    try {
      const requests = entries.map(({ held, summary }) => ({ key: held.key, summary }))
      const outcomes = await shared.attached.read(requests, peer)
      if (closed) return
      outcomes.forEach((outcome, index) => {
        const { position, held } = entries[index] as ReadableEntry
        if (outcome.type === "none") return
        if (outcome.type === "refused" || outcome.delta.length > MAX_ENTRY_BYTES) {
          const reason = outcome.type === "refused" ? outcome.reason : "entry-too-large"
          const room = roomReplicaByName.get(shared.replica.name)
          if (room !== undefined) events.refused(room, reason, "us")
          own.refused.set(mapKey(position), held.digest)
          return
        }
        const digest = shared.digests.digest(shared.replica.kind, held.key, outcome.stateHash)
        const short = digest.slice(0, SHORT_DIGEST_BYTES)
        const changes = own.unconfirmed.changed(mapKey(position), digest)
        averageEntryBytes += (outcome.delta.length + 64 - averageEntryBytes) / 16
        const frame: DataFrame = {
          type: "data",
          slot: shared.slot,
          kind: shared.replica.kind,
          key: held.key,
          digest: short,
          delta: outcome.delta,
        }
        outbox.bulk(frame, { slot: shared.slot, position, digest: short, changes })
      })
      for (const { position, summary } of entries.slice(outcomes.length))
        own.queue.addEntry(position, summary)
    } catch (cause) {
      // What could not be read is found missing again by the next comparison of roots.
      const room = roomReplicaByName.get(shared.replica.name)
      if (room !== undefined) events.refused(room, `could not be read: ${String(cause)}`, "us")
    } finally {
      reads--
      own.reading -= entries.length
    }
    if (closed) return
    own.check()
    pump()
    flush()
  }

  const blobs: BlobExchange = createBlobExchange({
    outbox,
    clock,
    settle: (receipt) => inbox.settle(receipt),
    flush: () => flush(),
  })

  const self: LinkSession = {
    session: link.session,
    link,
    replicas: replicasByName,
    isLinkedTo: (session) => linkedTo.has(session),
    message(lane, bytes) {
      if (closed) return
      heartbeat.heard()
      bytesIn += bytes.length
      try {
        for (const { frame, size } of decodeMessage(bytes)) {
          framesIn++
          dispatch(frame, lane, size)
          if (closed) return
        }
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
        violate(error)
        return
      }
      flush()
    },
    drained() {
      if (closed) return
      outbox.flush()
      pump()
      outbox.flush()
    },
    closed(reason) {
      if (closed) return
      dispose()
      events.closed(reason)
    },
    added(replica) {
      announce(replica)
      match(replica)
      flush()
    },
    removed(replica) {
      outbox.control({ type: "withdraw", slot: replica.shared.slot })
      unmatch(replica.shared.replica.name)
      flush()
    },
    sendLinks() {
      outbox.control({ type: "links", sessions: options.linkedSessions().map(hexToBytes) })
    },
    sendPresence(value) {
      if (outbox.wantsControl) outbox.control({ type: "presence", value })
    },
    want(replica, positions) {
      void sendWants(replica, positions)
    },
    flush,
    pump,
    retryLarge() {
      inbox.retryLarge()
      flush()
    },
    status() {
      const replicas = new Map<string, ReplicaLinkStatus>()
      for (const replica of options.replicas())
        replicas.set(replica.shared.replica.name, self.statusOf(replica))
      const live = greeted && [...replicas.values()].every(({ phase }) => phase !== "reconciling")
      return {
        session: link.session,
        stage: live ? "live" : "reconcile",
        rttMs: heartbeat.rttMs,
        replicas,
      }
    },
    statusOf(replica) {
      const { shared } = replica
      const own = replicasByName.get(shared.replica.name)
      const base = { peer: link.session, device: link.device }
      if (own === undefined) {
        const announced = announcementOf(shared.replica.name)
        const reason = announced === undefined ? null : mismatchOf(shared, announced)
        if (reason === null) return { ...base, phase: "waiting", pendingOut: 0, pendingIn: 0 }
        return { ...base, phase: "incompatible", reason, pendingOut: 0, pendingIn: 0 }
      }
      return {
        ...base,
        phase: own.phase,
        pendingOut: own.pendingOut,
        pendingIn: pendingIn(replica),
        ...(own.lastSyncedAt !== null && { lastSyncedAt: own.lastSyncedAt }),
      }
    },
    counters: () => ({
      bytesIn,
      bytesOut: outbox.bytesOut,
      framesIn,
      framesOut: outbox.framesOut,
      entriesIn: inbox.entriesIn,
      entriesOut: outbox.entriesOut,
    }),
    bye(reason) {
      if (closed) return
      outbox.control({ type: "bye", reason: shorten(reason) })
      flush()
      end(reason, false)
    },
  }

  const sendWants = async (replica: RoomReplica, positions: readonly Uint8Array[]): Promise<void> => {
    const { shared } = replica
    const held = positions.map((position) => ({ position, key: shared.index.get(position)?.key }))
    const known = held.filter((entry) => entry.key !== undefined)
    let summaries: readonly Uint8Array[] = []
    try {
      if (known.length > 0) summaries = await shared.attached.summarize(known.map(({ key }) => key as string))
    } catch {
      // Without a summary the entry is asked for as a whole.
    }
    if (closed) return
    const summaryByPosition = new Map(known.map(({ position }, at) => [position, summaries[at]]))
    let items: { position: Uint8Array; summary: Uint8Array }[] = []
    let size = 0
    const sendItems = (): void => {
      if (items.length > 0) outbox.control({ type: "want", slot: shared.slot, items })
      items = []
      size = 0
    }
    for (const position of positions) {
      const found = summaryByPosition.get(position) ?? NOT_AN_ENTRY
      const summary = found.length > MAX_SENT_SUMMARY_BYTES ? NOT_AN_ENTRY : found
      if (items.length >= 512 || size + summary.length > MAX_SENT_SUMMARY_BYTES) sendItems()
      items.push({ position, summary })
      size += summary.length + 24
    }
    sendItems()
    flush()
  }

  outbox.control({
    type: "hello",
    version: PROTOCOL_VERSION,
    session: options.sessionId,
    maxMessageBytes: Math.min(link.maxMessageBytes, BULK_MESSAGE_BYTES * 2, MAX_MESSAGE_BYTES),
    refusesEntries: link.role === "reader",
  })
  for (const replica of options.replicas()) announce(replica)
  self.sendLinks()
  const presence = options.presence()
  if (presence !== null) self.sendPresence(presence)
  heartbeat.start()
  flush()
  return self
}

interface ReadableEntry {
  readonly position: Uint8Array
  readonly summary: Uint8Array
  readonly held: { readonly digest: Uint8Array; readonly key: string }
}

/** Why two announcements of one name cannot be synchronised, in words; null when they can. */
function mismatchOf({ replica }: SharedReplica, theirs: AnnounceFrame): string | null {
  if (theirs.kind !== replica.kind) return "incompatible: the peer keeps another kind of data under this name"
  if (theirs.schemaTag === replica.schemaTag) return null
  return `incompatible: they have ${theirs.schemaTag}, this app has ${replica.schemaTag}`
}

function shorten(reason: string): string {
  // A UTF-16 unit takes at most three bytes.
  return reason.slice(0, Math.floor(MAX_REASON_BYTES / 3))
}
