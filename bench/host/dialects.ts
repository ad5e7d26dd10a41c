import { randomBytes } from "node:crypto"
import { encodeClientMessage, SIGNALING_SUBPROTOCOL } from "@dunlin/core/signaling"
import { type ClientOptions, WebSocket } from "ws"

export type ServerKind = "dunlin" | "bare" | "y-webrtc" | "rxdb"

/** Someone in a room, whatever the server's term for it. */
export interface Member {
  readonly socket: WebSocket
  /** What others address it by: 16 bytes or a text. */
  readonly name: Uint8Array | string
}

/** How to talk to one kind of server. */
export interface Dialect {
  /** Connects and joins; resolves once the server has shown that it knows the member. */
  join(url: string, room: Uint8Array, options?: ClientOptions): Promise<Member>
  /** A frame that carries an envelope of `bytes` bytes to the other member. */
  envelope(from: Member, to: Member, room: Uint8Array, bytes: number): Uint8Array | string
}

export const ENVELOPE_BYTES = 700

const text = (room: Uint8Array): string => Buffer.from(room).toString("hex")

export const dialects: Readonly<Record<ServerKind, Dialect>> = {
  dunlin: {
    async join(url, topic, options) {
      const peer = randomBytes(16)
      const join = encodeClientMessage({ type: "join", channel: 1, topic, peer, resume: null, token: "" })
      const socket = await open(
        url,
        SIGNALING_SUBPROTOCOL,
        options,
        () => join,
        (data) => data[1] === 0x81,
      )
      return { socket, name: peer }
    },
    envelope: (_from, to, _room, bytes) =>
      encodeClientMessage({
        type: "signal",
        channel: 1,
        to: to.name as Uint8Array,
        blob: randomBytes(bytes),
      }),
  },
  bare: {
    async join(url, room, options) {
      const socket = await open(
        url,
        [],
        options,
        () => room,
        () => true,
      )
      return { socket, name: "" }
    },
    envelope: (_from, _to, _room, bytes) => randomBytes(bytes),
  },
  "y-webrtc": {
    async join(url, room, options) {
      // The server does not answer a subscription, but it does answer what is sent after it.
      const subscribe = JSON.stringify({ type: "subscribe", topics: [text(room)] })
      const socket = await open(
        url,
        [],
        options,
        () => subscribe,
        (data) => data.toString().includes("pong"),
        [JSON.stringify({ type: "ping" })],
      )
      return { socket, name: "" }
    },
    envelope: (_from, _to, room, bytes) =>
      JSON.stringify({ type: "publish", topic: text(room), data: randomBytes(bytes).toString("base64") }),
  },
  rxdb: {
    async join(url, room, options) {
      let name = ""
      const socket = await open(
        url,
        [],
        options,
        () => JSON.stringify({ type: "join", room: text(room) }),
        (data) => {
          const message = JSON.parse(data.toString()) as { type: string; yourPeerId?: string }
          if (message.type === "init") name = message.yourPeerId ?? ""
          return message.type === "joined"
        },
      )
      return { socket, name }
    },
    envelope: (from, to, room, bytes) =>
      JSON.stringify({
        type: "signal",
        room: text(room),
        senderPeerId: from.name,
        receiverPeerId: to.name,
        data: randomBytes(bytes).toString("base64"),
      }),
  },
}

function open(
  url: string,
  protocols: string | string[],
  options: ClientOptions | undefined,
  firstFrame: () => Uint8Array | string,
  isJoined: (data: Buffer) => boolean,
  moreFrames: readonly string[] = [],
): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols, { perMessageDeflate: false, ...options })
    const listen = (data: Buffer): void => {
      if (!isJoined(data)) return
      socket.off("message", listen)
      resolve(socket)
    }
    socket.on("message", listen)
    socket.on("error", reject)
    socket.on("close", () => reject(new Error("closed before it had joined")))
    socket.on("open", () => {
      socket.send(firstFrame())
      for (const frame of moreFrames) socket.send(frame)
    })
  })
}
