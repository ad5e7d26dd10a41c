import { type AddressInfo } from "node:net"
import { WebSocketServer, type WebSocket } from "ws"
import {
  decodeClientMessage,
  encodeHostMessage,
  type HostMessage,
  type SignalingErrorCode,
  SIGNALING_SUBPROTOCOL,
} from "../src/signaling/index.ts"
import { bytesToHex } from "../src/protocol/hex.ts"

/** A signal as the server is about to deliver it; a script may deliver others in its place. */
export interface Signal {
  readonly from: Uint8Array
  readonly to: Uint8Array
  readonly blob: Uint8Array
}

export interface ScriptedSignaling {
  readonly url: string
  /** Decides what becomes of each signal. Default: passes it on. */
  script(rule: (signal: Signal, deliver: (signal: Signal) => void) => void): void
  /** Refuses joins by peer id; null lets a peer in. */
  admit(rule: (peer: Uint8Array) => SignalingErrorCode | null): void
  /** Every signal that clients sent. */
  readonly seen: readonly Signal[]
  readonly topics: readonly string[]
  deliver(signal: Signal): void
  close(): Promise<void>
}

interface Member {
  readonly socket: WebSocket
  readonly channel: number
  readonly topic: string
  readonly peer: Uint8Array
}

/** The smallest possible signaling server, wholly under the control of a test and as hostile as the test likes. */
export async function startScriptedSignaling(): Promise<ScriptedSignaling> {
  const server = new WebSocketServer({
    host: "127.0.0.1",
    port: 0,
    handleProtocols: () => SIGNALING_SUBPROTOCOL,
  })
  await new Promise((resolve) => server.once("listening", resolve))
  const membersById = new Map<string, Member>()
  const seen: Signal[] = []
  const topics: string[] = []
  let refusalOf: (peer: Uint8Array) => SignalingErrorCode | null = () => null
  let rule: (signal: Signal, deliver: (signal: Signal) => void) => void = (signal, pass) => pass(signal)

  const send = (member: Member, message: HostMessage): void => member.socket.send(encodeHostMessage(message))
  const deliver = ({ from, to, blob }: Signal): void => {
    const member = membersById.get(bytesToHex(to))
    if (member !== undefined) send(member, { type: "signal", channel: member.channel, from, blob })
  }
  const others = (topic: string, peer: Uint8Array): Member[] =>
    [...membersById.values()].filter((member) => member.topic === topic && member.peer !== peer)

  server.on("connection", (socket) => {
    let self: Member | null = null
    socket.on("message", (data: Buffer) => {
      const message = decodeClientMessage(new Uint8Array(data))
      if (message.type === "join") {
        const code = refusalOf(message.peer.slice())
        if (code !== null) {
          const { channel } = message
          return socket.send(
            encodeHostMessage({ type: "error", channel, code, retryMs: 0, detail: "refused" }),
          )
        }
        const topic = bytesToHex(message.topic)
        topics.push(topic)
        const member: Member = { socket, channel: message.channel, topic, peer: message.peer.slice() }
        self = member
        membersById.set(bytesToHex(member.peer), member)
        send(member, {
          type: "joined",
          channel: member.channel,
          resumed: false,
          resume: new Uint8Array(16).fill(1),
          graceMs: 0,
          tokenExpiresInMs: 0,
          limits: {
            maxFrameBytes: 32_768,
            messagesPerSecond: 1000,
            messageBurst: 1000,
            bytesPerSecond: 1_000_000,
            byteBurst: 1_000_000,
            maxTopics: 8,
            maxPeers: 64,
            heartbeatMs: 25_000,
          },
          ice: { servers: [], expiresInMs: 0 },
          peers: others(topic, member.peer).map(({ peer }) => peer),
        })
        for (const other of others(topic, member.peer)) {
          send(other, { type: "presence", channel: other.channel, joined: [member.peer], left: [] })
        }
      }
      if (message.type === "signal" && self !== null) {
        const signal = { from: self.peer, to: message.to.slice(), blob: message.blob.slice() }
        seen.push(signal)
        rule(signal, deliver)
      }
    })
    socket.on("close", () => {
      if (self === null) return
      membersById.delete(bytesToHex(self.peer))
      for (const other of others(self.topic, self.peer)) {
        send(other, { type: "presence", channel: other.channel, joined: [], left: [self.peer] })
      }
    })
    socket.on("error", () => {})
  })

  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    script(next) {
      rule = next
    },
    admit(next) {
      refusalOf = next
    },
    seen,
    topics,
    deliver,
    close() {
      for (const client of server.clients) client.terminate()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
