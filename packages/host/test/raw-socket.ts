import { randomBytes } from "node:crypto"
import { connect, type Socket } from "node:net"
import { SIGNALING_SUBPROTOCOL } from "@dunlin/core/signaling"

/** A TCP connection after the WebSocket handshake, for frames that no library would send. */
export interface RawSocket {
  readonly tcp: Socket
  /** Resolves when the other side has ended the connection. */
  readonly ended: Promise<void>
}

export function openRawSocket(port: number): Promise<RawSocket> {
  return new Promise((resolve, reject) => {
    const tcp = connect(port, "127.0.0.1")
    const ended = new Promise<void>((done) => tcp.once("close", () => done()))
    tcp.on("error", reject)
    tcp.write(upgradeRequest())
    tcp.once("data", (answer: Buffer) => {
      if (!answer.toString("latin1").startsWith("HTTP/1.1 101")) {
        reject(new Error(answer.toString("latin1").split("\r\n")[0]))
        return
      }
      tcp.on("data", () => {})
      resolve({ tcp, ended })
    })
  })
}

/** The request that opens a WebSocket to a host. */
export function upgradeRequest(): string {
  return (
    `GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n` +
    `Sec-WebSocket-Protocol: ${SIGNALING_SUBPROTOCOL}\r\n\r\n`
  )
}

export interface RawFrame {
  /** FIN, the reserved bits and the opcode. */
  readonly head: number
  readonly payload: Uint8Array
  readonly masked?: boolean
  /** A length to claim instead of the payload's. */
  readonly claimedLength?: bigint
}

export function rawFrame({ head, payload, masked = true, claimedLength }: RawFrame): Buffer {
  const length = claimedLength ?? BigInt(payload.length)
  const maskBit = masked ? 0x80 : 0
  let prefix: Buffer
  if (length < 126n) prefix = Buffer.from([head, maskBit | Number(length)])
  else if (length < 65_536n) {
    prefix = Buffer.from([head, maskBit | 126, 0, 0])
    prefix.writeUInt16BE(Number(length), 2)
  } else {
    prefix = Buffer.from([head, maskBit | 127, 0, 0, 0, 0, 0, 0, 0, 0])
    prefix.writeBigUInt64BE(length, 2)
  }
  // A mask of zeros is valid, and changes nothing.
  return Buffer.concat([prefix, masked ? Buffer.alloc(4) : Buffer.alloc(0), payload])
}
