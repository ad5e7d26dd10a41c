import type { ReplicaLinkStatus } from "../ports/replica.ts"
import type { Lane } from "../ports/transport.ts"
import { DecodeError } from "../protocol/decode-error.ts"
import type { AnnounceFrame, Frame, HelloFrame, NakItem } from "../protocol/frame.ts"
import { bytesToHex, hexToBytes } from "../protocol/hex.ts"
import { createInbox, type ReceivedPayload } from "../protocol/inbox.ts"
import {
  BULK_MESSAGE_BYTES,
  CONTROL_MESSAGE_BYTES,
  MAX_LINKS_ANNOUNCED,
  PROTOCOL_VERSION,
} from "../protocol/limits.ts"
import { mapKey } from "../protocol/map-key.ts"
import { decodeMessage, laneOf } from "../protocol/message.ts"
import { createOutbox } from "../protocol/outbox.ts"
import { createAnswers } from "./answers.ts"
import { createBlobExchange } from "./blob-exchange.ts"
import { noteDeliveries, noteRefusal } from "./delivery.ts"
import { createEntryReceiver } from "./entry-receiver.ts"
import { createEntrySender } from "./entry-sender.ts"
import { createHeartbeat } from "./heartbeat.ts"
import { createLinkReplica } from "./link-replica.ts"
import type { LinkSession, LinkSessionOptions } from "./link-session-api.ts"
import { replicaLinkStatus } from "./link-status.ts"
import { announceFrame, createMatchedReplicas } from "./matched-replicas.ts"
import { permissionsFor } from "./permissions.ts"
import { reasonForWire } from "./reason.ts"
import type { LinkTarget, RoomReplica } from "./room-replica.ts"
import type { SharedReplica } from "./shared-replica.ts"
import { createSyncedQuestions } from "./synced-questions.ts"
import { wantFrames } from "./want-frames.ts"

/**
 * The room has one place for a large entry. A peer that stops sending such an entry, or sends one and does not announce
 * its replica, loses its link after this long.
 */
const STALLED_MS = 60_000
/** While another peer waits for the place, an entry that comes, but slowly, loses its link after this long. */
const LONGEST_TURN_MS = 1_800_000
/** With the longest summaries 3 MB: less than what makes a peer look as if it does not read. */
const WANTS_AT_ONCE = 256
/** A peer that does not read may announce ever more entries, and take them back at once. As many as four replicas may want. */
const MAX_WANTS = 32_768

export function createLinkSession(options: LinkSessionOptions): LinkSession {
  const { link, clock, random, events } = options
  const outbox = createOutbox(link)
  const maxBulkBytes = Math.min(link.maxMessageBytes, BULK_MESSAGE_BYTES)
  const inbox = createInbox(options.gate)
  const peer = { session: link.session, device: link.device }
  const initiator = bytesToHex(options.sessionId) < link.session
  /** Our links when this one opened: both sides judge by the links of that time, and so agree on whether they share any. */
  const linkedAtFirst = options.linkedSessions()
  const keptSummaries = { bytes: 0 }
  let linkedTo: ReadonlySet<string> = new Set()
  let greeted = false
  let refusesEntries = false
  let closed = false
  let bytesIn = 0
  let framesIn = 0
  /** The peer was not keeping up when presence was due: it gets the newest value as soon as it does. */
  let presenceDue = false
  /**
   * Entries to ask for. With their summaries they may be more than the lane takes, which would look like a peer that does
   * not read, and more than memory should hold: summaries are read only when there is room.
   */
  const wants: { readonly shared: SharedReplica; readonly positions: Uint8Array[] }[] = []
  let wanted = 0
  let asking = false
  /** Entries on the bulk lane that overtook the announcement of their replica: one that was opened while this link was there. */
  const early: ReceivedPayload[] = []
  let changes = 0
  /** When an entry, or a piece of one, last arrived other than by a push. */
  let payloadAt = -Infinity
  /** When this link was last seen without the room's place for a large entry. */
  let noPlaceAt = clock.monotonic()
  /** When an answer of any comparison last arrived. */
  let comparedAt = -Infinity

  const flush = (): void => {
    if (closed) return
    answers.queue()
    if (presenceDue) self.sendPresence(options.presence())
    if (wants.length > 0) void askNext()
    outbox.flush()
    if (outbox.overflowing) end("the peer does not read")
  }

  const askNext = async (): Promise<void> => {
    const [next] = wants
    if (asking || next === undefined || !outbox.wantsControl) return
    asking = true
    const asked = next.positions.splice(0, WANTS_AT_ONCE)
    wanted -= asked.length
    const frames = await wantFrames(next.shared, asked)
    asking = false
    if (next.positions.length === 0) wants.shift()
    for (const frame of frames) outbox.control(frame)
    flush()
  }

  const pump = (): void => {
    if (closed) return
    sender.pump()
    blobs.pump()
    flush()
  }

  const answers = createAnswers({ inbox, outbox, clock, flush })
  const blobs = createBlobExchange({ outbox, inbox, clock, heardAt: () => payloadAt, flush })

  const questions = createSyncedQuestions(outbox, flush)

  const sender = createEntrySender({
    peer,
    outbox,
    targets: () => matched.targets.values(),
    refused: (room, reason) => events.refused(room, reason, "us"),
    flush,
  })

  const receiver = createEntryReceiver({
    peer,
    inbox,
    outbox,
    blobs,
    clock,
    random,
    events: {
      joined: events.joined,
      wantedChanged: events.wantedChanged,
      duplicate: events.duplicate,
      refused: (room, reason) => events.refused(room, reason, "us"),
    },
  })

  const matched = createMatchedReplicas({
    rooms: options.replicas,
    create: (room, announced) => createReplica(room, announced),
    ended: (room) => room.wanted.dropLink(link.session, clock.monotonic()),
    changed: events.statusChanged,
  })

  const heartbeat = createHeartbeat({
    clock,
    random,
    ping: (nonce) => {
      const now = clock.monotonic()
      if (!inbox.holdsPlace) noPlaceAt = now
      const isStalled = (inbox.holdsPlace || early.length > 0) && now - payloadAt > STALLED_MS
      if (isStalled || (now - noPlaceAt > LONGEST_TURN_MS && options.gate.isWanted()))
        return end("a large entry stalled")
      outbox.control({ type: "ping", nonce })
      const roots = matched.roots(initiator)
      if (roots.length > 0) outbox.control({ type: "root", roots })
      flush()
    },
    silent: () => end("silent"),
    measured: events.statusChanged,
  })

  const pendingIn = (room: RoomReplica): number => receiver.joining(room) + room.wanted.pending(link.session)

  const createReplica = (room: RoomReplica, announced: AnnounceFrame) =>
    createLinkReplica({
      ...peer,
      shared: room.shared,
      announced,
      initiator,
      permissions: permissionsFor(room.shared.replica.direction, announced, link.role, refusesEntries),
      outbox,
      keptSummaries,
      lease: room.lease,
      clock,
      random,
      sharesLinks: linkedAtFirst.some((session) => linkedTo.has(session)),
      nextChange: () => ++changes,
      pendingIn: () => pendingIn(room),
      answeredAt: () => Math.max(payloadAt, comparedAt),
      want: (position) => {
        events.wantedChanged()
        return room.wanted.add(mapKey(position), link.session, clock.monotonic())
      },
      pump,
      changed: events.statusChanged,
      phaseChanged: events.phaseChanged,
      reconciled: (report) => events.reconciled(room, report),
    })

  const end = (reason: string): void => {
    if (closed) return
    dispose()
    events.closed(reason)
    // Last: a connection in reserve may become the next link of this session at once.
    link.close(reason)
  }

  const dispose = (): void => {
    closed = true
    answers.close()
    heartbeat.close()
    sender.close()
    receiver.close()
    questions.close()
    blobs.close()
    inbox.close()
    matched.close()
  }

  const announce = ({ shared }: RoomReplica): void => outbox.control(announceFrame(shared, link.device))

  const dispatch = (frame: Frame, lane: Lane, size: number): void => {
    if (!greeted && frame.type !== "hello") throw new DecodeError("protocol-violation", "frame before HELLO")
    if (lane !== laneOf(frame.type)) throw new DecodeError("protocol-violation", "wrong lane")
    switch (frame.type) {
      case "hello":
        return greet(frame)
      case "announce":
        matched.announced(frame)
        return early.splice(0).forEach(receive)
      case "withdraw":
        return matched.withdrawn(frame.slot)
      case "range":
        if (frame.reply) comparedAt = clock.monotonic()
        return matched.at(frame.slot)?.own.range(frame)
      case "range-ack":
        comparedAt = clock.monotonic()
        return matched.at(frame.slot)?.own.rangeAck(frame)
      case "root":
        for (const item of frame.roots) matched.at(item.slot)?.own.root(item)
        return
      case "data":
      case "push":
      case "chunk":
      case "fragment": {
        // A push does not count: key presses go on even if what was asked for does not come.
        if (frame.type !== "push") payloadAt = clock.monotonic()
        const payload = inbox.receive(frame, size)
        if (payload !== null) receive(payload)
        return
      }
      case "ack":
        return acknowledged(frame.control, frame.bulk)
      case "nak":
        for (const item of frame.items) refusedByPeer(matched.at(frame.slot), item)
        return
      case "have":
      case "offer":
        for (const item of frame.items) receiver.offered(matched.at(frame.slot), item, frame.type)
        return
      case "want": {
        const target = matched.at(frame.slot)
        if (target === null || !target.own.permissions.send) return
        target.own.feed.graft()
        for (const { position, summary } of frame.items) target.own.queue.addEntry(position, summary)
        return
      }
      case "withheld": {
        const target = matched.at(frame.slot)
        target?.room.wanted.dropLink(link.session, clock.monotonic(), frame.positions.map(mapKey))
        return events.wantedChanged()
      }
      case "prune":
        return matched.at(frame.slot)?.own.feed.pruned()
      case "credit":
        return outbox.credited(frame.total)
      case "links":
        linkedTo = new Set(frame.sessions.map(bytesToHex))
        return events.linksChanged()
      case "presence":
        return events.presence(frame.value)
      case "presence-relay":
        return events.presenceRelayed(frame)
      case "chunk-want":
        return blobs.wanted(matched.at(frame.slot)?.own ?? null, frame)
      case "ping":
        return outbox.control({ type: "pong", nonce: frame.nonce })
      case "pong":
        return heartbeat.pong(frame.nonce)
      case "bye":
        return end(`peer left: ${frame.reason}`)
      case "synced-want": {
        if (link.device !== options.device) throw new DecodeError("protocol-violation", "device")
        const { nonce, positions, slots } = frame
        const replicas = slots.flatMap((slot) => matched.at(slot)?.room ?? [])
        // A question about a replica that was just withdrawn is asked again once the replica is back.
        const isOver = frame.over || replicas.length < slots.length
        return questions.asked(
          nonce,
          isOver ? null : (signal, tell) => events.syncedWanted({ replicas, positions, signal, tell }),
        )
      }
      case "synced-answer":
        questions.answered(frame)
        return events.statusChanged()
    }
  }

  const greet = (frame: HelloFrame): void => {
    if (greeted || bytesToHex(frame.session) !== link.session) {
      throw new DecodeError("protocol-violation", "HELLO out of place")
    }
    greeted = true
    refusesEntries = frame.refusesEntries
    outbox.capMessages(frame.maxMessageBytes)
  }

  const receive = (payload: ReceivedPayload): void => {
    const { frame, receipt } = payload
    // Credit bounds how much this can be.
    if (frame.type !== "push" && !matched.knows(frame.slot)) return void early.push(payload)
    const target = matched.at(frame.slot)
    if (target === null || !target.own.permissions.receive) inbox.settle(receipt)
    else if (frame.type === "chunk") blobs.received(frame, receipt)
    else receiver.receive(target, frame, receipt)
  }

  const refusedByPeer = (target: LinkTarget | null, item: NakItem): void => {
    if (target === null) return
    noteRefusal(target, item)
    if (item.reason !== "incomplete") events.refused(target.room, item.reason, "them")
    target.own.check()
  }

  const acknowledged = (control: number, bulk: number): void => {
    const references = outbox.acknowledged(control, bulk)
    if (references === null) throw new DecodeError("protocol-violation", "ack of nothing")
    noteDeliveries([...matched.targets.values()], references)
    events.statusChanged()
  }

  const self: LinkSession = {
    session: link.session,
    link,
    payloadAt: () => payloadAt,
    targets: matched.targets,
    questions,
    linkedTo: () => linkedTo,
    lacksAny: (sessions) => [...sessions].some((id) => id !== link.session && !linkedTo.has(id)),
    message(lane, bytes) {
      if (closed) return
      heartbeat.heard()
      bytesIn += bytes.length
      try {
        const maxBytes = lane === "bulk" ? maxBulkBytes : CONTROL_MESSAGE_BYTES
        for (const { frame, size } of decodeMessage(bytes, maxBytes)) {
          framesIn++
          dispatch(frame, lane, size)
          if (closed) return
        }
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
        events.violation(error.code, error.message)
        end(`protocol violation: ${error.message}`)
        return
      }
      pump()
    },
    drained: pump,
    doubted: heartbeat.doubt,
    closed(reason) {
      if (closed) return
      dispose()
      events.closed(reason)
    },
    added(replica) {
      announce(replica)
      matched.added(replica)
      pump()
    },
    removed(replica) {
      outbox.control({ type: "withdraw", slot: replica.shared.slot })
      matched.removed(replica.shared.replica.name)
      flush()
    },
    sendLinks() {
      const sessions = options.linkedSessions().slice(0, MAX_LINKS_ANNOUNCED)
      outbox.control({ type: "links", sessions: sessions.map(hexToBytes) })
    },
    sendPresence(value) {
      presenceDue = !outbox.wantsControl
      if (!presenceDue) outbox.control({ type: "presence", value })
    },
    relayPresence(frame) {
      if (outbox.wantsControl) outbox.control(frame)
    },
    isFull: () => wanted >= MAX_WANTS,
    want(replica, positions) {
      matched.targets.get(replica.shared.replica.name)?.own.feed.graft()
      wants.push({ shared: replica.shared, positions })
      wanted += positions.length
      flush()
    },
    flush,
    pump,
    retryLarge() {
      inbox.retryLarge()
      flush()
    },
    status() {
      const replicas = new Map<string, ReplicaLinkStatus>()
      for (const room of options.replicas()) replicas.set(room.shared.replica.name, self.statusOf(room))
      const live = greeted && [...replicas.values()].every(({ phase }) => phase !== "reconciling")
      const refuses = refusesEntries && link.role === "writer"
      const stage = live ? "live" : "reconcile"
      return { session: link.session, stage, rttMs: heartbeat.rttMs, refusesEntries: refuses, replicas }
    },
    statusOf: (room) => replicaLinkStatus(peer, matched, room, pendingIn(room)),
    counters: () => ({ bytesIn, framesIn, entriesIn: inbox.entriesIn, ...outbox.counters }),
    bye(reason) {
      if (closed) return
      outbox.control({ type: "bye", reason: reasonForWire(reason) })
      flush()
      end(reason)
    },
  }

  outbox.control({
    type: "hello",
    version: PROTOCOL_VERSION,
    session: options.sessionId,
    maxMessageBytes: maxBulkBytes,
    refusesEntries: link.role === "reader",
  })
  // Before the announcements, so that a peer that shares links with us knows that others may send us the same.
  self.sendLinks()
  for (const replica of options.replicas()) announce(replica)
  // Sent even if there is none: others may have relayed an earlier value.
  self.sendPresence(options.presence())
  heartbeat.start()
  flush()
  return self
}
