import { compareBytes } from "../protocol/byte-order.ts"
import type { Envelope, EnvelopeType } from "../crypto/envelope.ts"
import { errorText } from "../ports/error-text.ts"
import type { TransportHost } from "../ports/transport.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { sameBytes } from "../protocol/same-bytes.ts"
import { decodeUtf8, encodeUtf8 } from "../protocol/utf8.ts"
import { type BackOff, createBackOff } from "./back-off.ts"
import { decodeCandidates, encodeCandidates } from "./candidate-batch.ts"
import { decodeHangUp, encodeHangUp } from "./hang-up.ts"
import {
  type ConnectionFailure,
  createPeerConnection,
  type PeerConnection,
  shortName,
} from "./peer-connection.ts"
import { createMeshLinks } from "./mesh-links.ts"
import type { RtcPlatform } from "./rtc-platform.ts"

export interface DialerOptions {
  readonly host: TransportHost
  readonly platform: RtcPlatform
  readonly holdMs: number
  readonly configuration: () => RTCConfiguration
  /** Seals and sends, in the order of the calls. */
  send(message: Omit<Envelope, "from">): void
  /** A connection that was up was lost: the network may be gone, and with it the signaling socket. */
  pathLost(): void
  /** Our peer id no longer says what we are: a dialer under another id is wanted. */
  misplaced(): void
}

/**
 * Keeps one connection to every peer of the topic, or in a large room to those that the mesh plan names. The smaller peer
 * id calls, the other answers and can ask to be called: with fixed roles, two peers never call each other at the same time.
 */
export interface Dialer {
  /** Peers that are there now, given all at once because not all of them are called in a large room. */
  present(peers: readonly Uint8Array[]): void
  absent(peer: Uint8Array): void
  /** A signal could not be passed on: the peer lost its server, or is gone. */
  away(peer: Uint8Array): void
  receive(envelope: Envelope): void
  /**
   * Resets all back-off, and calls or asks to be called. After a time without server, signals were lost: then it also gives up
   * all calls that wait for one.
   */
  reconnect(hasLostSignals: boolean): void
  /** New ICE servers or credentials. */
  reconfigure(): void
  /** The page goes away, perhaps to come back: closes every connection at once. */
  suspend(): void
  close(): void
}

interface Remote {
  readonly id: Uint8Array
  readonly isCaller: boolean
  readonly backOff: BackOff
  isPresent: boolean
  /** Calls begun since one opened. */
  tries: number
  call: Call | null
  /** An older connection that counts until the new one is open. */
  former: Call | null
  cancelRetry: (() => void) | null
  /** Candidates whose offer is still on its way. */
  early: Envelope[]
}

interface Call extends PeerConnection {
  readonly id: Uint8Array
  readonly startedAt: number
  openedAt: number | null
}

const RETRY = { firstMs: 300, longestMs: 120_000 }
/** A connection that lived this long was worth it: back-off starts over after it. */
const WORTHWHILE_MS = 10_000
const FULL_RETRY_MS = 30_000
/** The called side gives the caller this long after a loss before it asks for a call. */
const CALL_ME_AFTER_MS = 3_000
/** An attempt that has taken longer is given up when somebody asks for a reconnect. */
const STUCK_AFTER_MS = 2_000
/** Candidates that overtook their offer. */
const MAX_EARLY_BATCHES = 8
/** Attempts at a time, over all peers; only members can cause one. */
const MAX_ATTEMPTS = 24
const MAX_REMOTES = 512
const CONNECTION_ID_BYTES = 8

export function createDialer(options: DialerOptions): Dialer {
  const { host, platform } = options
  const { clock, random } = host
  const remotesById = new Map<string, Remote>()
  let isClosed = false

  const mesh = createMeshLinks({
    self: bytesToHex(host.peerId),
    host,
    misplaced: options.misplaced,
    present: () => idsOf(({ isPresent }) => isPresent),
    linked: () => idsOf(isLinked),
    wanted(id) {
      const remote = remotesById.get(id)
      if (remote !== undefined && remote.cancelRetry === null) dial(remote)
    },
    surplus(id) {
      const remote = remotesById.get(id)
      if (remote?.call == null) return
      sayLost(remote, remote.call.id)
      closeQuietly(remote, remote.call)
    },
  })

  const idsOf = (isMeant: (remote: Remote) => boolean): readonly string[] =>
    [...remotesById].filter(([, remote]) => isMeant(remote)).map(([id]) => id)

  const isLinked = (remote: Remote): boolean => callsOf(remote).some((call) => call.isOpen())

  const hasRoomFor = (remote: Remote): boolean => host.wantsLinks() || mesh.makeRoom(bytesToHex(remote.id))

  const remoteOf = (id: Uint8Array): Remote | null => {
    const key = bytesToHex(id)
    const known = remotesById.get(key)
    if (known !== undefined) return known
    if (remotesById.size >= MAX_REMOTES || isOwnSession(id, host.peerId)) return null
    const remote: Remote = {
      id: id.slice(),
      isCaller: compareBytes(host.peerId, id) > 0,
      backOff: createBackOff(random, RETRY),
      isPresent: false,
      tries: 0,
      call: null,
      former: null,
      cancelRetry: null,
      early: [],
    }
    remotesById.set(key, remote)
    return remote
  }

  const forgetIfIdle = (remote: Remote): void => {
    if (remote.isPresent || remote.call !== null || remote.former !== null) return
    stopRetry(remote)
    remotesById.delete(bytesToHex(remote.id))
    if (remotesById.size === 0) host.report({ type: "alone" })
  }

  const post = (remote: Remote, type: EnvelopeType, connection: Uint8Array, payload: Uint8Array): void =>
    options.send({ type, to: remote.id, connection, payload })

  const sayLost = (remote: Remote, id: Uint8Array): void =>
    post(remote, "hang-up", id, encodeHangUp({ reason: "lost" }))

  const stage = (
    remote: Remote,
    call: Pick<Call, "startedAt">,
    report: Pick<StageReport, "stage" | "outcome" | "detail">,
  ): void => {
    const elapsedMs = Math.round(clock.monotonic() - call.startedAt)
    host.report({ type: "stage", remote: shortName(remote.id), elapsedMs, ...report })
  }

  function start(remote: Remote, id: Uint8Array): Call | null {
    remote.former?.close()
    if (remote.call?.isOpen() === false) remote.call.close()
    remote.former = remote.call
    const times = { startedAt: clock.monotonic() }
    const role = remote.isCaller ? "answerer" : "offerer"
    try {
      const connection = createPeerConnection({
        role,
        platform,
        patience: 2 ** (remote.tries++ % 3),
        configuration: options.configuration(),
        holdMs: options.holdMs,
        clock,
        remote: shortName(remote.id),
        events: {
          described: (sdp) => post(remote, role === "offerer" ? "offer" : "answer", id, encodeUtf8(sdp)),
          candidates: (batch) => post(remote, "candidates", id, encodeCandidates(batch)),
          opened(pipe) {
            call.openedAt = clock.monotonic()
            remote.tries = 0
            host.connected(pipe)
            // The room has both now and closes the one it does not want; a former one without a pipe is of no use.
            if (remote.former?.isOpen() === false) remote.former = null
          },
          broken: () => checkPresence(remote, call),
          closed: (failure) => ended(remote, call, failure),
          stage: (name, outcome) => stage(remote, times, { stage: name, outcome }),
        },
      })
      const call: Call = { id, ...times, openedAt: null, ...connection }
      remote.call = call
      return call
    } catch (error) {
      // Chromium allows 500 connections per page and gives closed ones back late.
      host.report({ type: "warning", code: "no-more-connections", detail: errorText(error) })
      remote.former = null
      return null
    }
  }

  function ended(remote: Remote, call: Call, failure: ConnectionFailure | null): void {
    if (failure !== null) {
      stage(remote, call, { stage: failure.stage, outcome: "failed", detail: failure.detail })
    }
    if (remote.former === call) remote.former = null
    if (remote.call !== call) return forgetIfIdle(remote)
    remote.call = remote.former
    remote.former = null
    if (remote.call !== null || isClosed) return
    if (call.openedAt !== null && clock.monotonic() - call.openedAt > WORTHWHILE_MS) remote.backOff.reset()
    if (failure !== null) {
      sayLost(remote, call.id)
      if (call.openedAt !== null) options.pathLost()
    }
    retrySoon(remote)
    forgetIfIdle(remote)
  }

  /** ICE waits half a minute for a path to heal, which is worthwhile only if somebody is still at its other end. */
  function checkPresence(remote: Remote, call: Call): void {
    if (!remote.isPresent) return closeQuietly(remote, call)
    // A hang-up for an unknown connection means nothing to its receiver: all that counts is whether it gets there.
    sayLost(remote, random.bytes(CONNECTION_ID_BYTES))
  }

  function retryLater(remote: Remote, delayMs: number): void {
    stopRetry(remote)
    remote.cancelRetry = clock.after(delayMs, () => {
      remote.cancelRetry = null
      dial(remote)
    })
  }

  const retrySoon = (remote: Remote): void =>
    retryLater(remote, (remote.isCaller ? CALL_ME_AFTER_MS : 0) + remote.backOff.next())

  function dial(remote: Remote, isAsked = false): void {
    if (isClosed || !remote.isPresent || remote.call !== null) return
    stopRetry(remote)
    if (!isAsked && !mesh.wants(bytesToHex(remote.id))) return
    if (!hasRoomFor(remote) || attempts() >= MAX_ATTEMPTS)
      return retryLater(remote, FULL_RETRY_MS * random.unit())
    const id = random.bytes(CONNECTION_ID_BYTES)
    if (remote.isCaller) {
      post(remote, "call-me", id, new Uint8Array(0))
      retrySoon(remote)
    } else if (start(remote, id) === null) {
      retryLater(remote, FULL_RETRY_MS)
    }
  }

  const attempts = (): number => idsOf(({ call }) => call?.isOpen() === false).length

  function answerOffer(remote: Remote, { connection: id, payload }: Envelope): void {
    const sdp = decodeUtf8(payload)
    const known = callOf(remote, id)
    if (known !== undefined) return void known.describe(sdp)
    if (!remote.isCaller) return
    if (remote.call === null && !hasRoomFor(remote)) return refuseAsFull(remote, id)
    if (attempts() >= MAX_ATTEMPTS) return
    stopRetry(remote)
    const call = start(remote, id.slice())
    if (call === null) return
    void call.describe(sdp)
    for (const batch of remote.early.splice(0)) addCandidates(remote, batch)
  }

  function addCandidates(remote: Remote, batch: Envelope): void {
    const call = callOf(remote, batch.connection)
    if (call !== undefined) return call.addCandidates(decodeCandidates(batch.payload))
    if (!remote.isCaller) return
    remote.early.push(batch)
    if (remote.early.length > MAX_EARLY_BATCHES) remote.early.shift()
  }

  function refuseAsFull(remote: Remote, id: Uint8Array): void {
    const told = { reason: "full", count: idsOf(isLinked).length, limit: host.linkLimit } as const
    post(remote, "hang-up", id, encodeHangUp(told))
  }

  function hangUp(remote: Remote, { connection: id, payload }: Envelope): void {
    const call = callOf(remote, id)
    const told = decodeHangUp(payload)
    const isFull = told.reason === "full"
    if (isFull) host.report({ type: "room-full", count: told.count, limit: told.limit })
    else if (call === undefined) return
    if (call !== undefined) closeQuietly(remote, call)
    if (isFull) retryLater(remote, FULL_RETRY_MS * (1 + random.unit()))
    else retrySoon(remote)
  }

  /** The called side has no connection with us, whatever we believe. */
  function calledFor(remote: Remote, { connection: id }: Envelope): void {
    if (remote.isCaller) return
    const { call } = remote
    if (call?.isOpen() === false || call?.isBroken()) closeQuietly(remote, call)
    if (remote.call === null && !hasRoomFor(remote)) return refuseAsFull(remote, id)
    remote.backOff.reset()
    // Its list of peers may differ from ours: we also answer for links that only its plan has.
    dial(remote, true)
  }

  /** Closes without telling the remote, which knows already. */
  function closeQuietly(remote: Remote, call: Call): void {
    if (remote.call === call) {
      remote.call = remote.former
      remote.former = null
    } else if (remote.former === call) {
      remote.former = null
    }
    call.close()
  }

  return {
    present(peers) {
      if (isClosed) return
      const arrived = peers.flatMap((peer) => remoteOf(peer) ?? [])
      for (const remote of arrived) remote.isPresent = true
      mesh.changed()
      for (const remote of arrived) {
        if (remote.call !== null || remote.cancelRetry !== null) continue
        // The newcomer of a pair is always told of the other, and the other of it, so the caller hears of the pair too.
        if (remote.isCaller) retryLater(remote, CALL_ME_AFTER_MS)
        else dial(remote)
      }
    },
    absent(peer) {
      const remote = remotesById.get(bytesToHex(peer))
      if (remote === undefined) return
      remote.isPresent = false
      mesh.changed()
      stopRetry(remote)
      for (const call of callsOf(remote)) {
        // The peer is gone from the server, so ICE need not notice first. A connection can outlive its server, though.
        if (call.isOpen() && !call.isBroken()) call.doubt()
        else closeQuietly(remote, call)
      }
      forgetIfIdle(remote)
    },
    away(peer) {
      const call = remotesById.get(bytesToHex(peer))?.call
      if (call?.isBroken() || call?.isSeeking())
        call.close({ stage: "signaling", detail: "the peer has left" })
    },
    receive(envelope) {
      const remote = remoteOf(envelope.from)
      if (remote === null || isClosed) return
      // A signal can overtake the news that its sender is there.
      if (!remote.isPresent) {
        remote.isPresent = true
        mesh.changed()
      }
      try {
        switch (envelope.type) {
          case "offer":
            return answerOffer(remote, envelope)
          case "answer":
            if (!remote.isCaller)
              void callOf(remote, envelope.connection)?.describe(decodeUtf8(envelope.payload))
            return
          case "candidates":
            return addCandidates(remote, envelope)
          case "hang-up":
            return hangUp(remote, envelope)
          case "call-me":
            return calledFor(remote, envelope)
        }
      } catch (error) {
        // A member of the room wrote nonsense: another version, or worse. There is nothing to lose by ignoring it.
        host.report({ type: "warning", code: "bad-envelope", detail: errorText(error) })
      }
    },
    reconnect(hasLostSignals) {
      for (const remote of [...remotesById.values()]) {
        remote.backOff.reset()
        const { call } = remote
        if (call !== null) {
          const isStuck = hasLostSignals
            ? call.isSeeking()
            : !call.isOpen() && clock.monotonic() - call.startedAt > STUCK_AFTER_MS
          if (isStuck || call.isBroken()) closeQuietly(remote, call)
        }
        dial(remote)
      }
    },
    reconfigure() {
      for (const { call } of remotesById.values()) call?.reconfigure(options.configuration())
    },
    suspend() {
      for (const remote of [...remotesById.values()]) {
        remote.isPresent = false
        stopRetry(remote)
        for (const call of callsOf(remote)) closeQuietly(remote, call)
        forgetIfIdle(remote)
      }
    },
    close() {
      isClosed = true
      mesh.close()
      for (const remote of [...remotesById.values()]) {
        stopRetry(remote)
        // What is open belongs to the room, which closes it.
        for (const call of callsOf(remote)) if (!call.isOpen()) call.close()
      }
      remotesById.clear()
    },
  }
}

type StageReport = Extract<Parameters<TransportHost["report"]>[0], { readonly type: "stage" }>

function stopRetry(remote: Remote): void {
  remote.cancelRetry?.()
  remote.cancelRetry = null
}

/** Whether a peer id is that of another transport of this session, which is no peer: see `TransportHost.peerId`. */
function isOwnSession(id: Uint8Array, own: Uint8Array): boolean {
  return sameBytes(id.subarray(8, 15), own.subarray(8, 15))
}

function callsOf({ former, call }: Remote): readonly Call[] {
  return [former, call].filter((each) => each !== null)
}

function callOf(remote: Remote, id: Uint8Array): Call | undefined {
  return callsOf(remote).find((call) => sameBytes(call.id, id))
}
