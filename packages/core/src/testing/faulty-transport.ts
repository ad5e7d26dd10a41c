import type { Clock } from "../ports/clock.ts"
import { type Random, systemRandom } from "../ports/random.ts"
import type { Lane, Pipe, PipeReceiver, Transport } from "../ports/transport.ts"

/** What is wrong with a network. Everything left out is fine. */
export interface FaultConditions {
  /** Nothing comes in or goes out any more, and connections end after a while as if the network were gone. */
  readonly offline?: boolean
  /** Added to each message in either direction. */
  readonly latencyMs?: number
  /** How many of 100 messages have to be sent again, which takes `RESEND_MS` more: pipes are reliable. */
  readonly lossPercent?: number
}

export interface FaultyTransport extends Transport {
  /** Changes the conditions of all peers, or of those whose pipe is called `remote`. Conditions left out stay as they are. */
  set(conditions: FaultConditions, remote?: string): void
  /** The names of the pipes that are open, for `set`. */
  remotes(): readonly string[]
}

const RESEND_MS = 200
/** Being offline for longer is noticed by silence, as by ICE. */
const SILENCE_MS = 15_000

/** Puts faults between a room and any transport: for all peers, or for single ones to make partitions. */
export function faulty(
  inner: Transport,
  initial: FaultConditions = {},
  random: Random = systemRandom(),
): FaultyTransport {
  let common: FaultConditions = initial
  const ownByRemote = new Map<string, FaultConditions>()
  const pipes = new Set<FaultyPipe>()

  const conditionsOf = (remote: string): FaultConditions => ({ ...common, ...ownByRemote.get(remote) })

  return {
    ...inner,
    start: (host) =>
      inner.start({
        ...host,
        connected(pipe) {
          const faultyPipe = createFaultyPipe(pipe, host.clock, random, () => conditionsOf(pipe.remote))
          pipes.add(faultyPipe)
          faultyPipe.whenClosed(() => pipes.delete(faultyPipe))
          host.connected(faultyPipe.pipe)
        },
      }),
    set(conditions, remote) {
      if (remote === undefined) common = { ...common, ...conditions }
      else ownByRemote.set(remote, { ...ownByRemote.get(remote), ...conditions })
      for (const pipe of pipes) pipe.changed()
    },
    remotes: () => [...pipes].map(({ pipe }) => pipe.remote),
  }
}

interface FaultyPipe {
  readonly pipe: Pipe
  /** The conditions have changed. */
  changed(): void
  whenClosed(listener: () => void): void
}

function createFaultyPipe(
  inner: Pipe,
  clock: Clock,
  random: Random,
  conditions: () => FaultConditions,
): FaultyPipe {
  let isClosed = false
  let cancelSilence: (() => void) | null = null
  const listeners: (() => void)[] = []
  const delay = (): number => {
    const { latencyMs = 0, lossPercent = 0 } = conditions()
    return latencyMs + (random.unit() * 100 < lossPercent ? RESEND_MS : 0)
  }
  const isOffline = (): boolean => conditions().offline === true
  const outgoing = {
    control: createDelayLine(clock, delay, isOffline, (bytes) => !isClosed && inner.send("control", bytes)),
    bulk: createDelayLine(clock, delay, isOffline, (bytes) => !isClosed && inner.send("bulk", bytes)),
  }
  let receiver: PipeReceiver | null = null
  const incoming = {
    control: createDelayLine(clock, delay, isOffline, (bytes) => receiver?.message("control", bytes)),
    bulk: createDelayLine(clock, delay, isOffline, (bytes) => receiver?.message("bulk", bytes)),
  }
  const lines = [...Object.values(outgoing), ...Object.values(incoming)]

  const end = (): void => {
    if (isClosed) return
    isClosed = true
    cancelSilence?.()
    for (const line of lines) line.stop()
    for (const listener of listeners) listener()
  }
  const watchSilence = (): void => {
    if (!isOffline()) {
      cancelSilence?.()
      cancelSilence = null
    } else if (!isClosed) {
      cancelSilence ??= clock.after(SILENCE_MS, () => {
        end()
        inner.close()
        receiver?.closed("silent")
      })
    }
  }
  watchSilence()

  const pipe: Pipe = Object.create(inner, {
    open: {
      value(given: PipeReceiver) {
        receiver = given
        inner.open({
          message: (lane, bytes) => incoming[lane].pass(bytes),
          drained: (lane) => given.drained(lane),
          doubted: () => given.doubted?.(),
          closed(reason) {
            if (isClosed) return
            end()
            given.closed(reason)
          },
          pathChanged: (path) => given.pathChanged?.(path),
        })
      },
    },
    send: { value: (lane: Lane, message: Uint8Array) => outgoing[lane].pass(message.slice()) },
    buffered: { value: (lane: Lane) => inner.buffered(lane) + outgoing[lane].bytes() },
    close: {
      value() {
        end()
        inner.close()
      },
    },
  }) as Pipe

  return {
    pipe,
    changed() {
      watchSilence()
      for (const line of lines) line.flush()
    },
    whenClosed: (listener) => void listeners.push(listener),
  }
}

interface DelayLine {
  pass(bytes: Uint8Array): void
  /** Goes on after a time offline. */
  flush(): void
  bytes(): number
  stop(): void
}

/** Keeps order whatever each message's delay is, and holds everything while offline. */
function createDelayLine(
  clock: Clock,
  delay: () => number,
  isOffline: () => boolean,
  emit: (bytes: Uint8Array) => void,
): DelayLine {
  let queue: { readonly bytes: Uint8Array; readonly dueAt: number }[] = []
  let cancel: (() => void) | null = null

  const flush = (): void => {
    cancel?.()
    cancel = null
    while (!isOffline() && queue[0] !== undefined) {
      const waitMs = queue[0].dueAt - clock.monotonic()
      if (waitMs > 0) {
        cancel = clock.after(waitMs, flush)
        return
      }
      emit((queue.shift() as (typeof queue)[number]).bytes)
    }
  }
  return {
    pass(bytes) {
      queue.push({ bytes, dueAt: clock.monotonic() + delay() })
      if (cancel === null) flush()
    },
    flush,
    bytes: () => queue.reduce((total, { bytes }) => total + bytes.length, 0),
    stop() {
      cancel?.()
      queue = []
    },
  }
}
