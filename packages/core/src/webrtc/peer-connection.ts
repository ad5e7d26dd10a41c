import type { Clock } from "../ports/clock.ts"
import { errorText } from "../ports/error-text.ts"
import type { ConnectionStage, Lane, Pipe } from "../ports/transport.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { sameBytes } from "../protocol/same-bytes.ts"
import { type Candidate, CANDIDATES_PER_BATCH } from "./candidate-batch.ts"
import { createDataPipe, type DataPipe, type EarlyMessage } from "./data-pipe.ts"
import { createPathProbe } from "./path-kind.ts"
import type { RtcPlatform } from "./rtc-platform.ts"
import { isFromLibDataChannel, readFingerprint, withoutCandidates } from "./session-description.ts"

export interface PeerConnectionOptions {
  readonly role: "offerer" | "answerer"
  /** Factor for the limits of each stage, 1 or more. */
  readonly patience: number
  readonly platform: RtcPlatform
  readonly configuration: RTCConfiguration
  /** For how long, at most, one side holds back its candidates once it has the other's; see `webrtc({ holdMs })`. */
  readonly holdMs: number
  readonly clock: Clock
  readonly remote: string
  readonly events: PeerConnectionEvents
}

export interface PeerConnectionEvents {
  /** Own description: an offer from the offerer, an answer from the answerer. */
  described(sdp: string): void
  candidates(batch: readonly Candidate[]): void
  opened(pipe: Pipe): void
  /** The connection was open and lost its path, which may heal. */
  broken(): void
  /** The last event. `failure` is null when it was closed on purpose or by the remote after it had opened. */
  closed(failure: ConnectionFailure | null): void
  stage(stage: ConnectionStage, outcome: "started" | "passed"): void
}

export interface ConnectionFailure {
  readonly stage: ConnectionStage
  readonly detail: string
}

/** One RTCPeerConnection from its offer to its end. Roles are fixed: there is no glare to resolve. */
export interface PeerConnection {
  /** From `opened` until the pipe closes. */
  readonly isOpen: () => boolean
  readonly isBroken: () => boolean
  /** Signals are still needed to find a path: where one got lost, it finds none. */
  readonly isSeeking: () => boolean
  /** The remote's description: an answer at the offerer; at the answerer an offer, or one for an ICE restart. */
  describe(sdp: string): Promise<void>
  addCandidates(candidates: readonly Candidate[]): void
  /** Others say that the remote is gone: has the room ask it. */
  doubt(): void
  /** Credentials for the next ICE restart. */
  reconfigure(configuration: RTCConfiguration): void
  close(failure?: ConnectionFailure): void
}

/** DTLS needs seconds on a slow network; if ICE finds no path in its time, the next attempt may. */
const STAGE_TIMEOUTS_MS = { signaling: 7_000, ice: 8_000, dtls: 12_000 } as const
/** Shorter cuts than this heal by themselves. */
const RESTART_AFTER_MS = 8_000
/** A connection that has been without a path for this long is given up: both sides come to that, and the offerer calls again. */
const GIVE_UP_AFTER_MS = 40_000
/** ICE may choose another pair while it still checks, and no event reports that. */
const PATH_SETTLES_MS = 2_000
const BATCH_AFTER_MS = 4
const MAX_MESSAGE_BYTES = 262_144
const MAX_REMOTE_CANDIDATES = 64
/** Messages kept from one channel while the other opens: more than a handshake sends, or an application adds to the contract suite. */
const MAX_HEARD_EARLY = 64
/** Of each of these: who is let in says little before the other side has answered. */
const MAX_HEARD_BYTES = 4_096
const LANES: readonly Lane[] = ["control", "bulk"]

/** Throws what the platform throws when it cannot make another connection. */
export function createPeerConnection(options: PeerConnectionOptions): PeerConnection {
  const { clock, events, platform, role } = options
  const connection = platform.create(options.configuration)
  const channels: Partial<Record<Lane, RTCDataChannel>> = {}
  let pipe: DataPipe | null = null
  let isOver = false
  let stage: ConnectionStage = "signaling"
  let remotePrint: Uint8Array | null = null
  const path = createPathProbe()
  const isRelayOnly = options.configuration.iceTransportPolicy === "relay"
  /**
   * The offerer's DTLS has to be up before the answerer, once connected, sends its DTLS hello; so the offerer's checks have
   * to get through first. On a direct path they do if the answerer does not know yet where to check. A relay admits nobody
   * of whom its owner has not heard, so there the offerer has to be the one who hears last. On a relayed path a hello that
   * arrives while DTLS starts is worse than late: up to 0.24.5 libdatachannel then hangs for good, and at the next call so
   * does Node (paullouisageneau/libdatachannel#1630).
   */
  const holds = options.holdMs > 0 && role === (isRelayOnly ? "answerer" : "offerer")
  const outgoing = createCandidateQueue(clock, (batch) => events.candidates(batch))
  let early: Candidate[] = []
  const heard: EarlyMessage[] = []
  let remoteCandidates = 0
  let cancelRepair: (() => void) | null = null
  /** An early hello gets lost only between two libdatachannel peers. */
  let isHolding = false
  let cancelHold = (): void => {}
  let cancelSecondLook = (): void => {}
  let cancelDeadline = deadlineOf("signaling")

  function deadlineOf(attempted: keyof typeof STAGE_TIMEOUTS_MS): () => void {
    return clock.after(STAGE_TIMEOUTS_MS[attempted] * options.patience, () => fail(explain(stage)))
  }

  function close(failure: ConnectionFailure | null = null): void {
    if (isOver) return
    isOver = true
    cancelDeadline()
    cancelRepair?.()
    cancelHold()
    cancelSecondLook()
    outgoing.stop()
    for (const handler of HANDLERS) connection[handler] = null
    pipe?.fail(failure === null ? "local" : "failed")
    connection.close()
    for (const channel of Object.values(channels)) {
      channel.onopen = null
      // node-datachannel never forgets a channel that neither opened nor was closed, nor its connection.
      channel.close()
    }
    events.closed(failure)
  }

  const fail = (detail: string): void => close({ stage, detail })

  const enter = (next: keyof typeof STAGE_TIMEOUTS_MS): void => {
    if (stage === next) return
    cancelDeadline()
    cancelDeadline = deadlineOf(next)
    events.stage(stage, "passed")
    stage = next
    events.stage(stage, "started")
  }

  function adopt(lane: Lane, channel: RTCDataChannel): void {
    channels[lane] = channel
    channel.binaryType = "arraybuffer"
    // On a path that reorders, the first messages of one channel can overtake the opening of the other.
    channel.onmessage = (event: MessageEvent<unknown>) => hear(lane, event.data)
    if (channel.readyState === "open") openWhenComplete()
    else channel.onopen = openWhenComplete
  }

  function hear(lane: Lane, data: unknown): void {
    const isFit = data instanceof ArrayBuffer && data.byteLength <= MAX_HEARD_BYTES
    if (!isFit || heard.length >= MAX_HEARD_EARLY) return fail("too much came before both channels were open")
    heard.push({ lane, bytes: new Uint8Array(data) })
  }

  function openWhenComplete(): void {
    const { control, bulk } = channels
    if (isOver || pipe !== null || control?.readyState !== "open" || bulk?.readyState !== "open") return
    const local = readFingerprint(connection.localDescription?.sdp ?? "")
    if (typeof local === "string" || remotePrint === null) return fail("a description has no fingerprint")
    enter("dtls")
    cancelDeadline()
    events.stage("dtls", "passed")
    pipe = createDataPipe({
      ...options,
      channels: { control, bulk },
      heard,
      path: isRelayOnly ? "relayed" : "direct",
      binding: { local, remote: remotePrint },
      maxMessageBytes: Math.min(connection.sctp?.maxMessageSize || MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES),
      closed: () => close(),
    })
    events.opened(pipe.pipe)
    void findPath()
    cancelSecondLook = clock.after(PATH_SETTLES_MS, () => void findPath())
  }

  async function findPath(): Promise<void> {
    // The path is relayed. Statistics may say otherwise: they count a relay's address as the peer's own if a check came from it first.
    if (isRelayOnly) return
    const stats = await connection.getStats().catch(() => null)
    const isRelayed = stats === null ? null : path.isRelayed(stats.values())
    if (isRelayed !== null) pipe?.setPath(isRelayed ? "relayed" : "direct")
  }

  async function offer(iceRestart: boolean): Promise<void> {
    // An earlier offer is not answered yet: a second one would make its answer fail.
    if (iceRestart && connection.signalingState !== "stable") return
    try {
      const description = await connection.createOffer(iceRestart ? { iceRestart } : {})
      if (isOver) return
      await connection.setLocalDescription(description)
      if (isOver) return
      events.described(ownDescription())
      if (!holds || iceRestart) outgoing.release()
    } catch (error) {
      fail(`no offer could be made: ${errorText(error)}`)
    }
  }

  const ownDescription = (): string => {
    const { sdp = "" } = connection.localDescription ?? {}
    return options.holdMs > 0 ? withoutCandidates(sdp) : sdp
  }

  /** A connection that was up and lost its path: wait, then try other paths, then give up. */
  function repair(): void {
    if (cancelRepair !== null || pipe === null) return
    events.broken()
    if (isOver) return
    const restart = (): void => {
      if (role === "offerer" && platform.canRestartIce) void offer(true)
      cancelRepair = clock.after(GIVE_UP_AFTER_MS - RESTART_AFTER_MS, () => fail("the path is gone"))
    }
    cancelRepair = clock.after(RESTART_AFTER_MS, restart)
  }

  connection.onicecandidate = ({ candidate }) => {
    if (candidate === null || candidate.candidate === "") return
    outgoing.add({ candidate: candidate.candidate, mid: candidate.sdpMid ?? "0" })
  }
  connection.oniceconnectionstatechange = () => {
    const { iceConnectionState } = connection
    if ((iceConnectionState === "connected" || iceConnectionState === "completed") && stage === "ice") {
      enter("dtls")
      outgoing.release()
    }
  }
  connection.onconnectionstatechange = () => {
    switch (connection.connectionState) {
      case "connected":
        cancelRepair?.()
        cancelRepair = null
        if (pipe !== null) void findPath()
        return
      case "disconnected":
        return repair()
      case "failed":
        if (pipe === null || !platform.canRestartIce) return fail(explain(stage))
        // ICE has run out of pairs: a restart asks both sides for new ones.
        if (role === "offerer") void offer(true)
        return repair()
      case "closed":
        // node-datachannel says this before its channels do, both when the remote hung up and when the path was lost.
        if (pipe !== null && cancelRepair === null) return pipe.fail("remote")
        return fail("the connection closed unexpectedly")
      default:
    }
  }
  connection.ondatachannel = ({ channel }) => {
    const lane = LANES.find((name) => name === channel.label)
    if (role !== "answerer" || lane === undefined || channels[lane] !== undefined) {
      return fail("the remote opened an unknown channel")
    }
    adopt(lane, channel)
  }

  events.stage("signaling", "started")
  if (role === "offerer") {
    for (const lane of LANES) adopt(lane, connection.createDataChannel(lane))
    void offer(false)
  }

  const unusable = (why: string): void => fail(`the remote's description cannot be used: ${why}`)

  async function describe(sdp: string): Promise<void> {
    if (isOver) return
    const print = readFingerprint(sdp)
    if (typeof print === "string") return unusable(print)
    if (remotePrint !== null && !sameBytes(print, remotePrint)) {
      return fail("the remote's certificate changed")
    }
    try {
      await connection.setRemoteDescription({ type: role === "offerer" ? "answer" : "offer", sdp })
      if (isOver) return
      // What counts is what was applied, not what was sent.
      const applied = readFingerprint(connection.remoteDescription?.sdp ?? "")
      if (typeof applied === "string") return unusable(applied)
      remotePrint = applied
      if (pipe === null) enter("ice")
      for (const line of sdp.split("\n")) if (line.startsWith("a=candidate:")) path.remote(line.slice(2))
      for (const candidate of early.splice(0)) addCandidate(candidate)
      if (role === "answerer") await answer()
      if (holds) {
        isHolding = isFromLibDataChannel(sdp)
        releaseAfter(isHolding ? options.holdMs : 0)
      }
    } catch (error) {
      unusable(errorText(error))
    }
  }

  async function answer(): Promise<void> {
    const description = await connection.createAnswer()
    if (isOver) return
    await connection.setLocalDescription(description)
    if (isOver) return
    events.described(ownDescription())
    if (!holds) outgoing.release()
  }

  function releaseAfter(ms: number): void {
    cancelHold()
    cancelHold = clock.after(ms, outgoing.release)
  }

  function addCandidate({ candidate, mid }: Candidate): void {
    path.remote(candidate)
    if (pipe !== null) void findPath()
    // One bad candidate must not end an attempt that the others may still bring to success.
    connection.addIceCandidate({ candidate, sdpMid: mid }).catch(() => {})
  }

  return {
    isOpen: () => pipe !== null && !isOver,
    isBroken: () => pipe !== null && connection.connectionState !== "connected",
    isSeeking: () => stage !== "dtls",
    describe,
    addCandidates(candidates) {
      if (isOver) return
      remoteCandidates += candidates.length
      // ICE restarts bring candidates as well; a flood of them is no use to anybody.
      if (remoteCandidates > MAX_REMOTE_CANDIDATES * 4) return
      if (remotePrint === null) early = [...early, ...candidates].slice(0, MAX_REMOTE_CANDIDATES)
      else for (const candidate of candidates) addCandidate(candidate)
      if (isHolding) releaseAfter(options.holdMs)
    },
    doubt: () => pipe?.doubt(),
    reconfigure(configuration) {
      if (isOver || !platform.canRestartIce) return
      try {
        connection.setConfiguration(configuration)
      } catch {
        // A server handed out what the browser refuses: the connection goes on with what it has.
      }
    },
    close: (failure) => close(failure ?? null),
  }
}

const HANDLERS = [
  "onicecandidate",
  "oniceconnectionstatechange",
  "onconnectionstatechange",
  "ondatachannel",
] as const

interface CandidateQueue {
  add(candidate: Candidate): void
  /** Sends now what was held back, and in batches what follows. */
  release(): void
  stop(): void
}

/** Nothing goes out before the description does, nor before a hold is over. */
function createCandidateQueue(clock: Clock, emit: (batch: readonly Candidate[]) => void): CandidateQueue {
  let waiting: Candidate[] = []
  let isReleased = false
  let cancel: (() => void) | null = null

  const flush = (): void => {
    cancel = null
    while (waiting.length > 0) emit(waiting.splice(0, CANDIDATES_PER_BATCH))
  }
  return {
    add(candidate) {
      waiting.push(candidate)
      if (isReleased) cancel ??= clock.after(BATCH_AFTER_MS, flush)
    },
    release() {
      isReleased = true
      flush()
    },
    stop() {
      cancel?.()
      waiting = []
    },
  }
}

function explain(stage: ConnectionStage): string {
  switch (stage) {
    case "signaling":
      return "no answer to the call"
    case "ice":
      return "no path was found: strict NATs or firewalls need a TURN server"
    default:
      return "a path was found, but the encrypted channel did not open"
  }
}

export function shortName(peer: Uint8Array): string {
  return bytesToHex(peer.subarray(0, 4))
}
