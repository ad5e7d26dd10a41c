import type { Clock } from "../ports/clock.ts"
import { errorText } from "../ports/error-text.ts"
import type { Random } from "../ports/random.ts"
import type { TransportReport } from "../ports/transport.ts"
import { within } from "../ports/within.ts"
import {
  DecodeError,
  decodeHostMessage,
  encodeClientMessage,
  type ClientMessage,
  type HostMessage,
  type IceConfiguration,
  passingErrors,
  SIGNALING_SUBPROTOCOL,
  type SignalingErrorCode,
} from "../signaling/index.ts"
import { type BackOff, createBackOff } from "./back-off.ts"
import type { WebSocketConstructor, WebSocketLike } from "./web-socket.ts"

export interface SignalingClientOptions {
  readonly url: string
  readonly topic: Uint8Array
  readonly peerId: Uint8Array
  readonly token: () => Promise<string>
  readonly webSocket: WebSocketConstructor
  readonly clock: Clock
  readonly random: Random
  readonly events: SignalingEvents
}

export interface SignalingEvents {
  /** We are in the topic, and these are the others. Comes again after each reconnect. */
  joined(peers: readonly Uint8Array[]): void
  presence(joined: readonly Uint8Array[], left: readonly Uint8Array[]): void
  signal(from: Uint8Array, blob: Uint8Array): void
  /** A signal to this peer went nowhere; it is not in the topic. */
  gone(peer: Uint8Array): void
  /** A signal to this peer was not passed on: it lost its connection to the server, and may come back. */
  away(peer: Uint8Array): void
  /** Another session has this peer id here: only a fresh id helps. */
  taken(): void
  ice(configuration: IceConfiguration): void
  /** The socket is gone; nobody can be said to be present. */
  lost(): void
  report(report: TransportReport): void
}

/** A connection to one server, kept up until `close`, whatever happens to network and server. */
export interface SignalingClient {
  /** False when it was not sent because there is no connection. */
  signal(to: Uint8Array, blob: Uint8Array): boolean
  requestIce(): void
  /**
   * Tries now if it is waiting; if it seems to be connected, asks the server for a sign of life. A try under way gets no more
   * time than a first one, and no long wait follows.
   */
  reconnect(): void
  /** Leaves at once, waiting for nothing, and stays away until `reconnect`. */
  suspend(): void
  close(): Promise<void>
}

/** When people are told that nothing answers; the attempt itself goes on until `CONNECT_TIMEOUT_MS`. */
const CONCERN_AFTER_MS = 3_000
/** The limits of a first try. Of three tries in a row one waits twice as long and one four times: some paths are that slow. */
const CONNECT_TIMEOUT_MS = 10_000
const ANSWER_TIMEOUT_MS = 5_000
const CLOSE_TIMEOUT_MS = 1_000
/**
 * A newcomer finds only peers that are at the server. After an outage these must be back soon, also those that are still
 * linked to each other and would not need the server themselves.
 */
const RETRY = { firstMs: 500, longestMs: 15_000 }
/** A server that said no is asked again rarely: a token may have been renewed or a place become free. */
const REFUSED_RETRY_MS = 30_000
/** Durations that a server gives are believed up to an hour: a timer beyond 2^31 ms would fire at once. */
const LONGEST_WAIT_MS = 3_600_000
const DEFAULT_HEARTBEAT_MS = 25_000
/** Characters of what a runtime says of a failed connection: a certificate with the wrong names is quoted in it. */
const MAX_SHOWN = 200
/** The close code that ends the session with the socket. */
const LEFT = 1000

const refusals: ReadonlySet<SignalingErrorCode> = new Set<SignalingErrorCode>([
  "unauthorized",
  "token-expired",
  "forbidden",
  "room-full",
  "blocked",
  "unsupported-version",
])

type SignalingReport = Extract<TransportReport, { type: "signaling" }>

type State =
  | { readonly phase: "waiting"; readonly cancel: () => void }
  | { readonly phase: "connecting"; readonly socket: Socket }
  | { readonly phase: "joined"; readonly socket: Socket }
  | { readonly phase: "closed" }

export function createSignalingClient(options: SignalingClientOptions): SignalingClient {
  const { clock, events, url } = options
  const backOff: BackOff = createBackOff(options.random, RETRY)
  let resume: Uint8Array | null = null
  let channel = 0
  let cancelRenewal = (): void => {}
  let state: State = { phase: "waiting", cancel: () => {} }

  const tell = (
    state: SignalingReport["state"],
    more?: Pick<SignalingReport, "detail" | "retryInMs">,
  ): void => events.report({ type: "signaling", server: url, state, ...more })

  const wait = (retryInMs: number): void => {
    state = { phase: "waiting", cancel: clock.after(retryInMs, connect) }
  }

  const retry = (detail: string, atLeastMs = 0, kind: SignalingReport["state"] = "unreachable"): void => {
    const retryInMs = Math.round(Math.max(Math.min(atLeastMs, LONGEST_WAIT_MS), backOff.next()))
    tell(kind, { detail, retryInMs })
    wait(retryInMs)
  }

  function connect(): void {
    tell("connecting")
    try {
      open()
    } catch (error) {
      // For example a ws: server named on an https page: the browser throws, and may not tomorrow.
      retry(errorText(error), REFUSED_RETRY_MS, "refused")
    }
  }

  function open(): void {
    const opened = openSocket(options, 2 ** (backOff.failures % 3), {
      opened: () => void join(opened),
      message: (message) => receive(opened, message),
      concern: () => tell("unreachable", { detail: `no answer within ${CONCERN_AFTER_MS / 1000} s` }),
      failed: (detail) => {
        if (isCurrent(opened)) leave(opened, detail)
      },
    })
    state = { phase: "connecting", socket: opened }
  }

  const isCurrent = (socket: Socket): boolean => "socket" in state && state.socket === socket

  async function join(socket: Socket): Promise<void> {
    let token: string
    try {
      token = await options.token()
    } catch (error) {
      if (isCurrent(socket)) leave(socket, `no token: ${errorText(error)}`)
      return
    }
    if (!isCurrent(socket)) return
    channel = (channel % 0xffff) + 1
    socket.send({ type: "join", channel, topic: options.topic, peer: options.peerId, resume, token })
  }

  /** Gives a socket up and schedules the next try. */
  function leave(socket: Socket, detail: string, atLeastMs = 0, kind?: SignalingReport["state"]): void {
    const wasJoined = state.phase === "joined"
    cancelRenewal()
    void socket.close()
    retry(detail, atLeastMs, kind)
    if (wasJoined) events.lost()
  }

  function receive(socket: Socket, message: HostMessage): void {
    if (!isCurrent(socket)) return
    if ("channel" in message && message.channel !== 0 && message.channel !== channel) return
    switch (message.type) {
      case "joined":
        if (state.phase !== "connecting") return
        state = { phase: "joined", socket }
        backOff.reset()
        resume = message.resume.slice()
        socket.settled(message.limits.heartbeatMs)
        renewIn(socket, message.tokenExpiresInMs)
        tell("joined")
        // The ICE servers first: peers that are there are called at once, and with them.
        events.ice(message.ice)
        return events.joined(message.peers)
      case "presence":
        return events.presence(message.joined, message.left)
      case "signal":
        return events.signal(message.from, message.blob)
      case "unreachable":
        // "busy" needs no answer: an attempt to connect has its own deadline.
        if (message.reason !== "busy") events[message.reason](message.peer)
        return
      case "renewed":
        return renewIn(socket, message.tokenExpiresInMs)
      case "ice":
        return events.ice(message.ice)
      case "bye":
        return leave(socket, "the server is about to restart", message.retryMs, "draining")
      case "error":
        return refuse(socket, message)
      default:
    }
  }

  function refuse(socket: Socket, error: HostMessage & { type: "error" }): void {
    if (error.channel !== 0 && state.phase === "joined" && passingErrors.has(error.code)) {
      return events.report({ type: "warning", code: `signaling-${error.code}`, detail: error.detail })
    }
    const detail = `${error.code}: ${error.detail}`
    if (refusals.has(error.code)) {
      return leave(socket, detail, Math.max(error.retryMs, REFUSED_RETRY_MS), "refused")
    }
    // The server is there and would take us: there is nothing to tell people.
    const isTaken = error.code === "peer-id-taken"
    leave(socket, detail, error.retryMs, isTaken ? "connecting" : "unreachable")
    if (isTaken) events.taken()
  }

  function renewIn(socket: Socket, expiresInMs: number): void {
    cancelRenewal()
    // 0 is for ever; of a token that could not be renewed so little is left in the end.
    if (expiresInMs < 100) return
    const renew = async (): Promise<void> => {
      const token = await options.token()
      if (isCurrent(socket)) socket.send({ type: "renew", channel, token })
    }
    const dueInMs = Math.min(expiresInMs, LONGEST_WAIT_MS) * 0.8
    cancelRenewal = clock.after(dueInMs, () => {
      renew().catch((error: unknown) => {
        events.report({ type: "warning", code: "no-token", detail: String(error) })
        if (isCurrent(socket)) renewIn(socket, expiresInMs - dueInMs)
      })
    })
  }

  async function depart(next: State): Promise<void> {
    const last = state
    if (last.phase === "closed") return
    state = next
    cancelRenewal()
    if (last.phase === "waiting") return last.cancel()
    if (last.phase === "joined") last.socket.send({ type: "leave", channel })
    await last.socket.close(LEFT)
  }

  const reconnect = (): void => {
    backOff.reset()
    if ("socket" in state) return state.socket.probe()
    if (state.phase !== "waiting") return
    state.cancel()
    connect()
  }
  wait(0)

  return {
    signal(to, blob) {
      if (state.phase !== "joined") return false
      state.socket.send({ type: "signal", channel, to, blob })
      return true
    },
    requestIce() {
      if (state.phase === "joined") state.socket.send({ type: "ice-request" })
    },
    reconnect,
    suspend: () => void depart({ phase: "waiting", cancel: () => {} }),
    close: () => depart({ phase: "closed" }),
  }
}

interface Socket {
  send(message: ClientMessage): void
  /** Ends the socket unless something is heard soon: a dead one can look alive for minutes. */
  probe(): void
  /** The join succeeded: from here on only silence ends the socket. */
  settled(heartbeatMs: number): void
  /**
   * Resolves when the socket is closed, or after `CLOSE_TIMEOUT_MS`. Without `LEFT` the session can be resumed within its
   * grace period, and nobody is told of a leave.
   */
  close(code?: typeof LEFT): Promise<void>
}

interface SocketEvents {
  opened(): void
  message(message: HostMessage): void
  concern(): void
  /** Nothing more can be expected of it; it is still to be closed. */
  failed(detail: string): void
}

function openSocket(
  { url, webSocket: WebSocket, clock }: SignalingClientOptions,
  patience: number,
  events: SocketEvents,
): Socket {
  const socket: WebSocketLike = new WebSocket(url, SIGNALING_SUBPROTOCOL)
  let over = false
  let isConnected = false
  let heartbeatMs = DEFAULT_HEARTBEAT_MS
  let heardAt = clock.monotonic()
  let openedAt = 0
  /** How long a sign of life may take. */
  let answerMs = CONNECT_TIMEOUT_MS
  let pinged = 0
  let gone = (): void => {}
  const whenGone = new Promise<void>((resolve) => (gone = resolve))
  let cancelDeadline = (): void => {}

  const end = (detail: string): void => {
    if (!over) events.failed(detail)
  }
  /** Ends it after this long, unless something else is to be waited for by then. */
  const expect = (what: string, withinMs: number): void => {
    const limitMs = withinMs * patience
    cancelDeadline()
    cancelDeadline = clock.after(limitMs, () => end(`no ${what} within ${limitMs / 1000} s`))
  }
  const cancelConcern = clock.after(CONCERN_AFTER_MS, () => {
    if (!isConnected) events.concern()
  })

  function send(message: ClientMessage): void {
    if (!over && socket.readyState === OPEN) socket.send(encodeClientMessage(message))
  }

  function beat(): void {
    const silentMs = clock.monotonic() - heardAt
    if (silentMs >= 2 * heartbeatMs) return end("the server has gone silent")
    if (silentMs >= heartbeatMs * 0.9) send({ type: "ping", nonce: (pinged += 1) })
    cancelDeadline = clock.after(heartbeatMs / 2, beat)
  }

  socket.binaryType = "arraybuffer"
  socket.onopen = () => {
    if (over) return
    isConnected = true
    openedAt = clock.monotonic()
    expect("answer to join", ANSWER_TIMEOUT_MS)
    events.opened()
  }
  socket.onmessage = ({ data }: { readonly data: unknown }) => {
    if (over) return
    heardAt = clock.monotonic()
    try {
      if (!(data instanceof ArrayBuffer)) throw new DecodeError("bad-value", "text frame")
      events.message(decodeHostMessage(new Uint8Array(data)))
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      end(`the server does not speak Dunlin's signaling protocol (${error.message})`)
    }
  }
  socket.onclose = ({ code }: { readonly code: number }) => {
    gone()
    end(`the server closed the connection (${code})`)
  }
  socket.onerror = ({ message }: { readonly message?: unknown }) => {
    if (isConnected) return
    // In Node 22 no close event follows. Browsers keep to themselves what failed.
    gone()
    end("no connection" + (message ? `: ${String(message).slice(0, MAX_SHOWN)}` : ""))
  }
  expect("connection", CONNECT_TIMEOUT_MS)

  return {
    send,
    probe() {
      const askedAt = clock.monotonic()
      send({ type: "ping", nonce: (pinged += 1) })
      clock.after(answerMs, () => {
        if (heardAt < askedAt) end("the server has gone silent")
      })
    },
    settled(everyMs) {
      // Not by the number of tries before it: a server that was down for two is no slower for that.
      answerMs = ANSWER_TIMEOUT_MS + heardAt - openedAt
      if (everyMs >= 1000) heartbeatMs = Math.min(everyMs, LONGEST_WAIT_MS)
      cancelDeadline()
      cancelDeadline = clock.after(heartbeatMs / 2, beat)
    },
    async close(code) {
      over = true
      cancelConcern()
      cancelDeadline()
      socket.close(code)
      await within(clock, CLOSE_TIMEOUT_MS, whenGone, null)
      socket.terminate?.()
    },
  }
}

const OPEN = 1
