import {
  type Lane,
  type Pipe,
  type PipeReceiver,
  type Transport,
  TransportError,
  type TransportHost,
} from "@dunlin/core"
import type { Subscription } from "rxjs"
import { base64FromBytes, bytesFromBase64, hexFromBytes } from "../byte-text.ts"
import type { WebRTCMessage, WebRTCConnectionHandler } from "./connection-handler.ts"
import { createOpeningBudget, type OpeningBudget } from "./opening-budget.ts"

export interface HandlerTransportOptions<PeerType> {
  readonly create: () => Promise<WebRTCConnectionHandler<PeerType>>
  readonly isPeerValid: (peer: PeerType) => boolean | Promise<boolean>
  readonly failed: (error: unknown) => void
}

/** RxDB's handlers cut messages into parts of 16 KiB of text by themselves. */
const MAX_MESSAGE_BYTES = 64 * 1024
/** The same as base64. */
const MAX_DATA_CHARS = Math.ceil(MAX_MESSAGE_BYTES / 3) * 4
const LOW_BYTES = 256 * 1024
const MAX_WAITING = 256
/**
 * Text of messages kept from one peer before the application and the room let it in. Until then it may be anybody who
 * found the signaling server of the handler, and sends no more than a handshake.
 */
const MAX_WAITING_CHARS = 64 * 1024
const REOPEN_MS = 1_000
/** A handler that is still being made, or never ends, must not keep its database open. It is closed once made. */
const CLOSE_PATIENCE_MS = 5_000
/**
 * Each pipe begins a handshake, and whoever may send a message begins a pipe with it: a peer that restarts, or one that only
 * wants us to compute. One peer gets so many, and all of them together.
 */
const PEER_OPENINGS = { burst: 4, perSecond: 1 }
const ALL_OPENINGS = { burst: 64, perSecond: 16 }
const MAX_ID_CHARS = 64
/** The method that RxDB's own handler, and handlers modelled on it, pass on as a message. */
const METHOD = "masterWrite"

/** The peers of a handler with RxDB's interface as pipes. Whatever carries them, the record layer encrypts. */
export function handlerTransport<PeerType>(options: HandlerTransportOptions<PeerType>): Transport {
  return {
    name: "connection-handler",
    start(host) {
      const ends = new Map<PeerType, HandlerEnd>()
      const openings = createOpeningBudget(host.clock, ALL_OPENINGS)
      const subscriptions: Subscription[] = []
      let stopped = false
      const listen = (handler: WebRTCConnectionHandler<PeerType>): void => {
        subscriptions.push(
          handler.error$.subscribe(options.failed),
          handler.connect$.subscribe((peer) => void admit(handler, peer).catch(options.failed)),
          handler.disconnect$.subscribe((peer) => {
            ends.get(peer)?.lost()
            ends.delete(peer)
          }),
          handler.message$.subscribe(({ peer, message }) => ends.get(peer)?.receive(message)),
        )
      }
      const opening = options.create().then(
        (handler) => {
          try {
            if (!stopped) listen(handler)
          } catch (cause) {
            // A handler without one of the streams; it is still closed at the end.
            options.failed(cause)
          }
          return handler
        },
        (error: unknown) => {
          options.failed(error)
          return null
        },
      )

      async function admit(handler: WebRTCConnectionHandler<PeerType>, peer: PeerType): Promise<void> {
        // A handler may connect a peer again before it noticed that it had gone.
        ends.get(peer)?.lost()
        // Registered first: messages may come before the application has decided.
        const end = createEnd(host, openings, (message) => handler.send(peer, message))
        ends.set(peer, end)
        if (await options.isPeerValid(peer)) end.start()
        else if (ends.get(peer) === end) ends.delete(peer)
      }

      return {
        reconnect() {},
        async stop() {
          stopped = true
          for (const subscription of subscriptions) subscription.unsubscribe()
          for (const end of ends.values()) end.lost()
          ends.clear()
          const closed = opening.then((handler) => handler?.close()).catch(options.failed)
          let cancelWait = (): void => {}
          const late = new Promise<void>((resolve) => {
            cancelWait = host.clock.after(CLOSE_PATIENCE_MS, resolve)
          })
          await Promise.race([closed, late]).finally(cancelWait)
        },
      }
    },
  }
}

interface HandlerEnd {
  start(): void
  receive(message: WebRTCMessage): void
  lost(): void
}

/** One pipe at a time to one peer. Each side gives its pipes random ids, so that both notice a restart. */
function createEnd(
  host: TransportHost,
  openings: OpeningBudget,
  send: (message: WebRTCMessage) => Promise<void>,
): HandlerEnd {
  const ownOpenings = createOpeningBudget(host.clock, PEER_OPENINGS)
  const mayOpen = (): boolean => ownOpenings.take() && openings.take()
  let pipe: HandlerPipe | null = null
  /** The same, also when it is over. */
  let last: HandlerPipe | null = null
  let theirs: string | null = null
  let started = false
  let gone = false
  const early: WebRTCMessage[] = []
  let earlyChars = 0
  let cancelReopen = (): void => {}

  const say = async (own: string, lane: Lane | "end", data: string): Promise<void> => {
    const message: WebRTCMessage = { id: `dunlin|${own}`, method: METHOD, params: [own, lane, data] }
    try {
      await send(message)
    } catch {
      // A peer that is gone: the room notices the silence.
    }
  }

  const reopenLater = (): void => {
    cancelReopen()
    cancelReopen = host.clock.after(REOPEN_MS * (1 + host.random.unit()), open)
  }

  const open = (): void => {
    if (gone || pipe !== null || !started || !host.wantsLinks()) return
    if (mayOpen()) make()
    else reopenLater()
  }

  const make = (): void => {
    last?.abandon()
    const own = hexFromBytes(host.random.bytes(8))
    theirs = null
    const made = createPipe(
      (lane, data) => say(own, lane, data),
      () => {
        if (pipe !== made) return
        pipe = null
        if (!gone) reopenLater()
      },
    )
    pipe = made
    last = made
    host.connected(made.pipe)
  }

  const receive = (message: Partial<WebRTCMessage>): void => {
    const { method, params } = message
    // What a peer sends arrives here parsed but unchecked, before the peer has proved anything.
    if (method !== METHOD || !Array.isArray(params)) return
    const [from, lane, data] = params as readonly unknown[]
    if (typeof from !== "string" || typeof data !== "string" || from.length > MAX_ID_CHARS) return
    if (lane === "end") {
      if (theirs === from) {
        pipe?.end("remote")
        pipe = null
        reopenLater()
      }
      return
    }
    if (lane !== "control" && lane !== "bulk") return
    if (theirs !== null && theirs !== from) {
      if (!mayOpen()) return
      pipe?.end("remote")
      pipe = null
      if (host.wantsLinks()) make()
    } else if (pipe === null) open()
    theirs = from
    pipe?.receive(lane, data)
  }

  return {
    start() {
      // The application may decide on a peer that has gone meanwhile.
      if (gone) return
      started = true
      open()
      for (const message of early.splice(0)) receive(message)
    },
    receive(message) {
      if (started) return receive(message)
      const chars = charsOf(message)
      if (chars === null || early.length >= MAX_WAITING || earlyChars + chars > MAX_WAITING_CHARS) return
      earlyChars += chars
      early.push(message)
    },
    lost() {
      gone = true
      early.length = 0
      cancelReopen()
      pipe?.end("failed")
      pipe = null
    },
  }
}

/** Characters of a message that may be one of ours, null for any other. */
function charsOf({ method, params }: Partial<WebRTCMessage>): number | null {
  if (method !== METHOD || !Array.isArray(params) || params.length !== 3) return null
  const texts = params as readonly unknown[]
  return texts.every((text) => typeof text === "string") ? texts.join("").length : null
}

interface HandlerPipe {
  readonly pipe: Pipe
  receive(lane: Lane, data: string): void
  end(reason: "remote" | "failed"): void
  /** Sends nothing more: what is left of a pipe would end the next one at the other side. */
  abandon(): void
}

function createPipe(
  say: (lane: Lane | "end", data: string) => Promise<void>,
  closed: () => void,
): HandlerPipe {
  const waiting: (readonly [Lane, Uint8Array])[] = []
  let waitingChars = 0
  const bufferedBytes = { control: 0, bulk: 0 }
  let receiver: PipeReceiver | null = null
  let over = false
  /** Of this pipe alone: a message that a handler never gets away must not hold up the next pipe. */
  let tail: Promise<void> = Promise.resolve()
  let isAbandoned = false
  const sayInTurn = (lane: Lane | "end", data: string): Promise<void> =>
    (tail = tail.then(() => (isAbandoned ? undefined : say(lane, data))))

  const pipe: Pipe = {
    path: "custom",
    role: "undecided",
    binding: null,
    maxMessageBytes: MAX_MESSAGE_BYTES,
    remote: "connection handler",
    open(given) {
      // It waited for the room, and ended meanwhile.
      if (over) return given.closed("failed")
      receiver = given
      for (const [lane, bytes] of waiting.splice(0)) given.message(lane, bytes)
    },
    send(lane, message) {
      if (over) throw new TransportError("pipe-closed", "The connection handler lost this peer.")
      if (message.length > MAX_MESSAGE_BYTES)
        throw new TransportError("message-too-large", `A message has at most ${MAX_MESSAGE_BYTES} bytes.`)
      bufferedBytes[lane] += message.length
      void sayInTurn(lane, base64FromBytes(message)).then(() => {
        bufferedBytes[lane] -= message.length
        if (!over && bufferedBytes[lane] < LOW_BYTES) receiver?.drained(lane)
      })
    },
    buffered: (lane) => bufferedBytes[lane],
    close() {
      if (over) return
      over = true
      waiting.length = 0
      void sayInTurn("end", "")
      closed()
      receiver?.closed("local")
    },
  }
  return {
    pipe,
    receive(lane, data) {
      if (over) return
      if (receiver === null) waitingChars += data.length
      if (data.length > MAX_DATA_CHARS || waitingChars > MAX_WAITING_CHARS) return pipe.close()
      let bytes: Uint8Array
      try {
        bytes = bytesFromBase64(data)
      } catch {
        pipe.close()
        return
      }
      if (bytes.length > MAX_MESSAGE_BYTES) pipe.close()
      else if (receiver !== null) receiver.message(lane, bytes)
      else if (waiting.length < MAX_WAITING) waiting.push([lane, bytes])
      else pipe.close()
    },
    end(reason) {
      if (over) return
      over = true
      waiting.length = 0
      receiver?.closed(reason)
    },
    abandon() {
      isAbandoned = true
    },
  }
}
