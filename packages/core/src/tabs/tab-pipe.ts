import type { Clock } from "../ports/clock.ts"
import {
  assertSendable,
  type Lane,
  type Pipe,
  type PipeCloseReason,
  type PipeReceiver,
} from "../ports/transport.ts"

/** What the two ends of a channel between tabs say to each other. Same origin, same code, yet checked. */
type TabMessage =
  | { readonly type: "data"; readonly lane: Lane; readonly bytes: Uint8Array }
  | { readonly type: "taken"; readonly lane: Lane; readonly bytes: number }
  | { readonly type: "bye" }

export interface TabPipeOptions {
  readonly channel: BroadcastChannel
  readonly remote: string
  readonly clock: Clock
  closed(): void
}

export interface TabPipe {
  readonly pipe: Pipe
  /** This pipe is closed. */
  lost(): void
}

const MAX_MESSAGE_BYTES = 262_144
/** BroadcastChannel takes any amount at once, so only the receiver's "taken" messages hold a sender back. */
const WINDOW_BYTES = 1024 * 1024
const LOW_BYTES = 256 * 1024
const TELL_BYTES = 128 * 1024
const TELL_AFTER_MS = 10
const MAX_QUEUED_BYTES = 64 * 1024 * 1024
/** What may arrive before the room opens the pipe. */
const MAX_EARLY_BYTES = 64 * 1024
const LANES: readonly Lane[] = ["control", "bulk"]

/** A pipe over a channel that only two tabs use. */
export function createTabPipe({ channel, remote, clock, closed }: TabPipeOptions): TabPipe {
  let receiver: PipeReceiver | null = null
  let closedBy: PipeCloseReason | null = null
  let early: { readonly lane: Lane; readonly bytes: Uint8Array }[] = []
  let earlyBytes = 0
  const outgoing = { control: createWindow(), bulk: createWindow() }
  const untold = { control: 0, bulk: 0 }
  let cancelTelling: (() => void) | null = null

  const end = (reason: PipeCloseReason): void => {
    if (closedBy !== null) return
    closedBy = reason
    cancelTelling?.()
    early = []
    // Even if the pipe failed here: otherwise the other tab keeps its end, and no new link, until it misses a sign of life.
    if (reason !== "remote") channel.postMessage({ type: "bye" } satisfies TabMessage)
    channel.close()
    closed()
    receiver?.closed(reason)
  }

  const tell = (): void => {
    cancelTelling?.()
    cancelTelling = null
    for (const lane of LANES) {
      if (untold[lane] === 0) continue
      channel.postMessage({ type: "taken", lane, bytes: untold[lane] } satisfies TabMessage)
      untold[lane] = 0
    }
  }

  const pass = (lane: Lane, bytes: Uint8Array): void => {
    channel.postMessage({ type: "data", lane, bytes } satisfies TabMessage)
  }

  channel.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (closedBy !== null) return
    const message = readMessage(data)
    if (message === null) return end("failed")
    switch (message.type) {
      case "data":
        untold[message.lane] += message.bytes.length
        if (receiver === null) {
          earlyBytes += message.bytes.length + 1
          if (earlyBytes > MAX_EARLY_BYTES) return end("failed")
          early.push(message)
        } else receiver.message(message.lane, message.bytes)
        if (untold[message.lane] >= TELL_BYTES) tell()
        else cancelTelling ??= clock.after(TELL_AFTER_MS, tell)
        return
      case "taken": {
        const window = outgoing[message.lane]
        window.taken(message.bytes, (bytes) => pass(message.lane, bytes))
        if (window.buffered() <= LOW_BYTES) receiver?.drained(message.lane)
        return
      }
      case "bye":
        return end("remote")
    }
  }

  return {
    pipe: {
      path: "tab",
      role: "undecided",
      binding: null,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      remote,
      open(given) {
        if (closedBy !== null) return given.closed(closedBy)
        receiver = given
        for (const { lane, bytes } of early.splice(0)) given.message(lane, bytes)
      },
      send(lane, message) {
        assertSendable(message, MAX_MESSAGE_BYTES, closedBy)
        outgoing[lane].send(message, (bytes) => pass(lane, bytes))
        if (outgoing[lane].buffered() > MAX_QUEUED_BYTES) end("failed")
      },
      buffered: (lane) => outgoing[lane].buffered(),
      close: () => end("local"),
    },
    lost: () => end("failed"),
  }
}

interface SendWindow {
  send(message: Uint8Array, pass: (message: Uint8Array) => void): void
  taken(bytes: number, pass: (message: Uint8Array) => void): void
  /** Bytes that the other side has not taken yet. */
  buffered(): number
}

function createWindow(): SendWindow {
  let queue: Uint8Array[] = []
  let head = 0
  let queuedBytes = 0
  let untaken = 0
  return {
    send(message, pass) {
      if (head === queue.length && untaken < WINDOW_BYTES) {
        untaken += message.length
        pass(message)
      } else {
        queue.push(message)
        queuedBytes += message.length
      }
    },
    taken(bytes, pass) {
      untaken = Math.max(0, untaken - bytes)
      while (head < queue.length && untaken < WINDOW_BYTES) {
        const message = queue[head++] as Uint8Array
        queuedBytes -= message.length
        untaken += message.length
        pass(message)
      }
      if (head > 1024 || head === queue.length) {
        queue = queue.slice(head)
        head = 0
      }
    },
    buffered: () => queuedBytes + untaken,
  }
}

function readMessage(data: unknown): TabMessage | null {
  if (typeof data !== "object" || data === null) return null
  const { type, lane, bytes } = data as Readonly<Record<string, unknown>>
  if (type === "bye") return { type }
  if (lane !== "control" && lane !== "bulk") return null
  if (type === "data" && bytes instanceof Uint8Array && bytes.length <= MAX_MESSAGE_BYTES) {
    return { type, lane, bytes }
  }
  return type === "taken" && typeof bytes === "number" && bytes > 0 ? { type, lane, bytes } : null
}
