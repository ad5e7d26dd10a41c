import { randomBytes } from "node:crypto"
import {
  type ClientMessage,
  decodeHostMessage,
  encodeClientMessage,
  type HostMessage,
  SIGNALING_SUBPROTOCOL,
} from "@dunlin/core/signaling"
import { type ClientOptions, WebSocket } from "ws"

type MessageOf<T extends HostMessage["type"]> = Extract<HostMessage, { type: T }>

export interface JoinOptions {
  readonly channel?: number
  readonly topic?: Uint8Array
  readonly peer?: Uint8Array
  readonly resume?: Uint8Array | null
  readonly token?: string
}

/** A client that sends exactly what a test tells it to. */
export interface SignalingClient {
  readonly socket: WebSocket
  readonly peer: Uint8Array
  /** Everything received and not yet taken by `next`. */
  readonly unread: HostMessage[]
  send(message: ClientMessage): void
  sendBytes(bytes: Uint8Array | string): void
  /** Takes the first unread message of a type, and waits for it when there is none. */
  next<T extends HostMessage["type"]>(type: T): Promise<MessageOf<T>>
  /** Sends a join and takes its answer. */
  join(options?: JoinOptions): Promise<MessageOf<"joined"> | MessageOf<"error">>
  /** Like `join`, but any answer other than `joined` fails the test. */
  joined(options?: JoinOptions): Promise<MessageOf<"joined">>
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
}

const PATIENCE_MS = 30_000

export const someTopic = (): Uint8Array => randomBytes(32)
export const somePeer = (): Uint8Array => randomBytes(16)

export async function connectClient(url: string, options: ClientOptions = {}): Promise<SignalingClient> {
  const socket = new WebSocket(url, SIGNALING_SUBPROTOCOL, options)
  const unread: HostMessage[] = []
  const waiters = new Set<() => void>()
  const wake = (): void => {
    for (const waiter of waiters) waiter()
  }
  socket.on("message", (data: Buffer) => {
    unread.push(decodeHostMessage(data))
    wake()
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on("close", (code, reason) => {
      resolve({ code, reason: reason.toString() })
      wake()
    })
  })
  await new Promise<void>((resolve, reject) => {
    socket.on("open", resolve)
    socket.on("error", reject)
  })
  const peer = somePeer()

  const take = <T extends HostMessage>(
    matches: (message: HostMessage) => message is T,
    what: string,
  ): Promise<T> =>
    new Promise((resolve, reject) => {
      const attempt = (): void => {
        const index = unread.findIndex(matches)
        if (index === -1 && socket.readyState !== WebSocket.CLOSED) return
        waiters.delete(attempt)
        clearTimeout(timer)
        const [found] = index === -1 ? [] : unread.splice(index, 1)
        if (found === undefined || !matches(found)) reject(new Error(`closed while waiting for ${what}`))
        else resolve(found)
      }
      const timer = setTimeout(() => {
        waiters.delete(attempt)
        reject(new Error(`no ${what}; unread: ${unread.map(({ type }) => type).join(", ")}`))
      }, PATIENCE_MS)
      waiters.add(attempt)
      attempt()
    })

  const client: SignalingClient = {
    socket,
    peer,
    unread,
    closed,
    send: (message) => socket.send(encodeClientMessage(message)),
    sendBytes: (bytes) => socket.send(bytes),
    next: <T extends HostMessage["type"]>(type: T) =>
      take((message): message is MessageOf<T> => message.type === type, type),
    join({ channel = 1, topic = someTopic(), peer: as = peer, resume = null, token = "" } = {}) {
      client.send({ type: "join", channel, topic, peer: as, resume, token })
      return take(
        (message): message is MessageOf<"joined"> | MessageOf<"error"> =>
          (message.type === "joined" || message.type === "error") && message.channel === channel,
        "answer to a join",
      )
    },
    async joined(joinOptions) {
      const answer = await client.join(joinOptions)
      if (answer.type === "joined") return answer
      throw new Error(`not joined: ${answer.code} ${answer.detail}`)
    },
  }
  return client
}

/** Why an upgrade was refused: its HTTP status and body. */
export function refusedUpgrade(
  url: string,
  options: ClientOptions & { readonly protocol?: string } = {},
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, options.protocol ?? SIGNALING_SUBPROTOCOL, options)
    socket.on("open", () => {
      socket.terminate()
      reject(new Error("the upgrade was accepted"))
    })
    socket.on("error", reject)
    socket.on("unexpected-response", (_request, response) => {
      let body = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => (body += chunk))
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }))
    })
  })
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until something becomes true. The limit is generous, since machines are slow at times. */
export async function until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`)
    await pause(10)
  }
}
