import type { Clock } from "../ports/clock.ts"
import {
  assertSendable,
  type Lane,
  type PathKind,
  type Pipe,
  type PipeCloseReason,
  type PipeReceiver,
} from "../ports/transport.ts"

export interface DataPipeOptions {
  readonly channels: Readonly<Record<Lane, RTCDataChannel>>
  /** What the channels received before. */
  readonly heard: readonly EarlyMessage[]
  readonly path: PathKind
  readonly role: "offerer" | "answerer"
  readonly binding: NonNullable<Pipe["binding"]>
  readonly maxMessageBytes: number
  readonly remote: string
  readonly clock: Clock
  /** Tears down what carries the channels. Called once. */
  closed(reason: PipeCloseReason): void
}

export interface EarlyMessage {
  readonly lane: Lane
  readonly bytes: Uint8Array
}

export interface DataPipe {
  readonly pipe: Pipe
  /** The connection below it is lost. */
  fail(reason: PipeCloseReason): void
  setPath(path: PathKind): void
  /** Others say that the remote is gone. */
  doubt(): void
}

/**
 * Bytes that a channel may buffer itself. Chromium throws at 16 MiB and node-datachannel has no limit at all, so whatever
 * is beyond this waits here.
 */
const CHANNEL_HIGH_BYTES = 1024 * 1024
const CHANNEL_LOW_BYTES = 256 * 1024
/** A sender that does not look at `buffered` is wrong; the pipe ends before memory does. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024
/** `bufferedamountlow` never fires if the amount never rose above the threshold, so the pipe also looks by itself. */
const LOOK_AGAIN_MS = 50
/** Bytes that may come before the room opens the pipe: no more than the first messages of a handshake, from a stranger. */
const MAX_EARLY_BYTES = 64 * 1024
/** What keeping a message costs besides its bytes: empty ones are not free. */
const EARLY_MESSAGE_BYTES = 64

export function createDataPipe(options: DataPipeOptions): DataPipe {
  let receiver: PipeReceiver | null = null
  let closedBy: PipeCloseReason | null = null
  let path = options.path
  let early: EarlyMessage[] = []
  let earlyBytes = 0

  const end = (reason: PipeCloseReason): void => {
    if (closedBy !== null) return
    closedBy = reason
    early = []
    for (const lane of Object.values(lanes)) lane.stop()
    options.closed(reason)
    receiver?.closed(reason)
  }

  const take = (lane: Lane, bytes: Uint8Array): void => {
    if (closedBy !== null) return
    if (receiver !== null) return receiver.message(lane, bytes)
    earlyBytes += bytes.length + EARLY_MESSAGE_BYTES
    if (earlyBytes > MAX_EARLY_BYTES) return end("failed")
    early.push({ lane, bytes })
  }

  const laneOf = (lane: Lane): OutgoingLane =>
    createLane(options.channels[lane], options.clock, {
      message: (bytes) => take(lane, bytes),
      drained: () => receiver?.drained(lane),
      closed: end,
    })
  const lanes = { control: laneOf("control"), bulk: laneOf("bulk") }

  const pipe: Pipe = {
    get path() {
      return path
    },
    role: options.role,
    binding: options.binding,
    maxMessageBytes: options.maxMessageBytes,
    remote: options.remote,
    open(given) {
      if (closedBy !== null) return given.closed(closedBy)
      receiver = given
      for (const { lane, bytes } of early.splice(0)) given.message(lane, bytes)
    },
    send(lane, message) {
      assertSendable(message, options.maxMessageBytes, closedBy)
      lanes[lane].send(message)
    },
    buffered: (lane) => lanes[lane].buffered(),
    close: () => end("local"),
  }

  for (const { lane, bytes } of options.heard) take(lane, bytes)

  return {
    pipe,
    fail: end,
    doubt: () => receiver?.doubted?.(),
    setPath(next) {
      if (next === path || closedBy !== null) return
      path = next
      receiver?.pathChanged?.(next)
    },
  }
}

interface OutgoingLane {
  send(message: Uint8Array): void
  buffered(): number
  stop(): void
}

interface LaneEvents {
  message(bytes: Uint8Array): void
  drained(): void
  closed(reason: PipeCloseReason): void
}

function createLane(channel: RTCDataChannel, clock: Clock, events: LaneEvents): OutgoingLane {
  let queue: Uint8Array[] = []
  let head = 0
  let queuedBytes = 0
  let isAbove = false
  let cancelLook = (): void => {}

  const buffered = (): number => queuedBytes + channel.bufferedAmount

  const look = (): void => {
    cancelLook()
    flush()
    if (!isAbove) return
    if (buffered() <= CHANNEL_LOW_BYTES) {
      isAbove = false
      events.drained()
    } else {
      cancelLook = clock.after(LOOK_AGAIN_MS, look)
    }
  }

  const flush = (): void => {
    while (head < queue.length && channel.bufferedAmount < CHANNEL_HIGH_BYTES) {
      const message = queue[head] as Uint8Array
      if (!trySend(message)) return
      head += 1
      queuedBytes -= message.length
    }
    if (head > 1024 || head === queue.length) {
      queue = queue.slice(head)
      head = 0
    }
  }

  /** False when the channel will not take it now; its `close` event tells when it never will. */
  const trySend = (message: Uint8Array): boolean => {
    try {
      // A plain Uint8Array: of any other view node-datachannel sends the wrong bytes.
      channel.send(message as Uint8Array<ArrayBuffer>)
      return true
    } catch {
      return false
    }
  }

  channel.binaryType = "arraybuffer"
  channel.bufferedAmountLowThreshold = CHANNEL_LOW_BYTES
  channel.onbufferedamountlow = look
  channel.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) events.message(new Uint8Array(data))
    else events.closed("failed")
  }
  channel.onclose = () => events.closed("remote")

  return {
    send(message) {
      const isIdle = head === queue.length
      const before = channel.bufferedAmount
      if (!(isIdle && before < CHANNEL_HIGH_BYTES && trySend(message))) {
        queue.push(message)
        queuedBytes += message.length
        if (queuedBytes > MAX_QUEUED_BYTES) return events.closed("failed")
      }
      // Asking for the amount again is a call out of the runtime, which a small message does not need.
      const isLow = queuedBytes + before + message.length <= CHANNEL_LOW_BYTES
      if (isAbove || isLow || buffered() <= CHANNEL_LOW_BYTES) return
      isAbove = true
      cancelLook = clock.after(LOOK_AGAIN_MS, look)
    },
    buffered,
    stop() {
      cancelLook()
      queue = []
      head = 0
      queuedBytes = 0
      channel.onbufferedamountlow = null
      channel.onmessage = null
      channel.onclose = null
    },
  }
}
