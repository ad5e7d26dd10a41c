import {
  createHandshake,
  type HandshakeFailure,
  type HandshakeStep,
  type ProvenPeer,
} from "../crypto/handshake.ts"
import type { DeviceKey } from "../crypto/identity.ts"
import type { RoomKeys } from "../crypto/key-schedule.ts"
import { createRecordLayer, RECORD_OVERHEAD_BYTES, type RecordLayer } from "../crypto/record-layer.ts"
import type { Clock } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"
import type { Lane, PathKind, Pipe, PipeCloseReason } from "../ports/transport.ts"

export interface SecureChannelOptions {
  readonly pipe: Pipe
  readonly keys: RoomKeys
  readonly session: Uint8Array
  readonly device: DeviceKey
  readonly clock: Clock
  readonly random: Random
  readonly events: SecureChannelEvents
}

export interface SecureChannelEvents {
  proven(peer: ProvenPeer): void
  /** The last event, before or after `proven`. `cause` is what this device's own key threw, if that was the reason. */
  closed(reason: SecureCloseReason, cause?: unknown): void
  /** A message arrived that waits for `start`. */
  held(): void
  pathChanged(path: PathKind): void
}

export type SecureCloseReason =
  | PipeCloseReason
  | `handshake-${HandshakeFailure}`
  | "handshake-timeout"
  | "handshake-own-key" // this device's key, which an application may supply, did not sign
  | "early-flood" // more bytes than a member sends before it is let in
  | "record-forged"
  | "record-backlog"

export interface ChannelReceiver {
  message(lane: Lane, bytes: Uint8Array): void
  drained(lane: Lane): void
  doubted(): void
}

/** A pipe that runs the handshake first, and then carries messages until it is closed. */
export interface SecureChannel {
  readonly maxMessageBytes: number
  path(): PathKind
  isClosed(): boolean
  /** Whether messages wait for `start`. */
  holds(): boolean
  /** Begins delivery, with the messages that arrived early first. */
  start(receiver: ChannelReceiver): void
  /** A message for a closed channel is dropped. */
  send(lane: Lane, message: Uint8Array): void
  buffered(lane: Lane): number
  close(): void
}

const HANDSHAKE_TIMEOUT_MS = 10_000
/** Bytes kept from a remote that has not proved anything: enough for the greeting of one that is a round trip ahead of us. */
const MAX_SEALED_BYTES = 128 * 1024
/** Bytes kept from a proven remote until the room has let it in, which may take an application seconds to decide. */
const MAX_HELD_BYTES = 1024 * 1024
/** What keeping a message costs besides its bytes. */
const MESSAGE_BYTES = 64

export function createSecureChannel(options: SecureChannelOptions): SecureChannel {
  const { pipe, events } = options
  let isClosed = false
  let receiver: ChannelReceiver | null = null
  let records: RecordLayer | null = null
  /** Messages as the pipe brought them, while the remote is not proven. */
  let sealed: Message[] = []
  /** Messages ready for delivery, while the room has not let the remote in. */
  let held: Message[] = []
  let earlyBytes = 0
  let isProven = false
  let proofsSeen = 0

  const close = (reason: SecureCloseReason, cause?: unknown): void => {
    if (isClosed) return
    isClosed = true
    cancelDeadline()
    records?.close()
    sealed = []
    held = []
    pipe.close()
    events.closed(reason, cause)
  }
  const cancelDeadline = options.clock.after(HANDSHAKE_TIMEOUT_MS, () => close("handshake-timeout"))

  const { role, binding } = pipe
  const starting = createHandshake({ ...options, ...options.keys, role, binding })

  async function begin(): Promise<void> {
    const { first } = await starting
    transmit("control", first)
  }

  async function advance(before: Promise<void>, message: Uint8Array): Promise<void> {
    await before
    const handshake = await starting
    if (!isClosed) take(await handshake.receive(message))
  }

  const orClose = (work: Promise<void>): Promise<void> =>
    work.catch((cause: unknown) => close("handshake-own-key", cause))

  function take(result: HandshakeStep): void {
    if (isClosed) return
    switch (result.type) {
      case "reply":
        return transmit("control", result.message)
      case "failed":
        return close(`handshake-${result.code}`)
      case "proven":
        cancelDeadline()
        isProven = true
        if (pipe.binding === null) records = createRecords(result.peer)
        for (const { lane, bytes } of sealed.splice(0)) arrived(lane, bytes)
        return events.proven(result.peer)
    }
  }

  const createRecords = ({ recordKeys }: ProvenPeer): RecordLayer =>
    createRecordLayer({
      keys: recordKeys,
      transmit,
      deliver,
      failed: (code) => close(`record-${code}`),
    })

  function transmit(lane: Lane, bytes: Uint8Array): void {
    if (isClosed) return
    try {
      pipe.send(lane, bytes)
    } catch {
      // The pipe is closed; its `closed` has come or will come.
    }
  }

  function arrived(lane: Lane, bytes: Uint8Array): void {
    if (records === null) deliver(lane, bytes)
    else records.receive(lane, bytes)
  }

  function deliver(lane: Lane, bytes: Uint8Array): void {
    if (isClosed) return
    if (receiver !== null) return receiver.message(lane, bytes)
    hold(held, lane, bytes, MAX_HELD_BYTES)
    events.held()
  }

  function hold(queue: Message[], lane: Lane, bytes: Uint8Array, limit: number): void {
    earlyBytes += bytes.length + MESSAGE_BYTES
    if (earlyBytes > limit) return close("early-flood")
    queue.push({ lane, bytes })
  }

  // The pipe may hold messages already. They are handled one at a time, and none before our own first message has gone out.
  let step = orClose(begin())
  pipe.open({
    message(lane, bytes) {
      if (isClosed) return
      if (isProven) return arrived(lane, bytes)
      // The handshake takes two messages; what follows them, or comes on the other lane, is kept for later.
      if (lane === "control" && proofsSeen < 2) {
        proofsSeen += 1
        step = orClose(advance(step, bytes))
        return
      }
      hold(sealed, lane, bytes, MAX_SEALED_BYTES)
    },
    drained: (lane) => receiver?.drained(lane),
    doubted: () => receiver?.doubted(),
    closed: (reason) => close(reason),
    pathChanged: (path) => events.pathChanged(path),
  })

  return {
    maxMessageBytes: pipe.maxMessageBytes - (pipe.binding === null ? RECORD_OVERHEAD_BYTES : 0),
    path: () => pipe.path,
    isClosed: () => isClosed,
    holds: () => held.length > 0,
    start(given) {
      receiver = given
      for (const { lane, bytes } of held.splice(0)) deliver(lane, bytes)
    },
    send(lane, message) {
      if (isClosed) return
      if (records === null) transmit(lane, message)
      else records.send(lane, message)
    },
    buffered: (lane) => pipe.buffered(lane) + (records?.sealing(lane) ?? 0),
    close: () => close("local"),
  }
}

interface Message {
  readonly lane: Lane
  readonly bytes: Uint8Array
}
