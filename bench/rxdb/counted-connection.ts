/** What went over this process's data channels after the handshake of each connection. */
export const wire = createWire()

type ChannelLike = {
  send(data: string | ArrayBuffer | ArrayBufferView): void
  addEventListener(type: string, listener: (event: { readonly data: unknown }) => void): void
}

/** Both greetings and both proofs, as one side of Dunlin's handshake sees them: 84 + 112 bytes. */
const HANDSHAKE_BYTES = 196

/** A peer connection whose data channels are counted. */
export function countedConnection<Connection extends new (...given: never[]) => object>(
  base: Connection,
): Connection {
  const Base = base as unknown as new (configuration?: unknown) => RTCPeerConnection
  class CountedConnection extends Base {
    #handshakeLeft = HANDSHAKE_BYTES

    constructor(configuration?: unknown) {
      super(configuration)
      wire.connected()
      this.addEventListener("datachannel", (event) => this.#count(event.channel as unknown as ChannelLike))
    }

    override createDataChannel(...given: Parameters<RTCPeerConnection["createDataChannel"]>): RTCDataChannel {
      const channel = super.createDataChannel(...given)
      this.#count(channel)
      return channel
    }

    #count(channel: ChannelLike): void {
      const send = channel.send.bind(channel)
      channel.send = (data) => {
        const bytes = typeof data === "string" ? Buffer.byteLength(data) : data.byteLength
        const isHandshake = this.#handshakeLeft >= bytes && (bytes === 84 || bytes === 112)
        if (isHandshake) this.#handshakeLeft -= bytes
        else wire.sent(bytes)
        send(data)
      }
      channel.addEventListener("open", () => wire.opened())
      channel.addEventListener("message", ({ data }) => wire.received(data))
    }
  }
  return CountedConnection as unknown as Connection
}

function createWire() {
  let bytesOut = 0
  let messagesOut = 0
  let markerReceptions = 0
  let marker: string | null = null
  let openedAt: number | null = null
  let connections = 0
  return {
    connected: () => void connections++,
    opened: () => void (openedAt ??= Number(process.hrtime.bigint()) / 1e6),
    sent(bytes: number) {
      bytesOut += bytes
      messagesOut++
    },
    received(data: unknown) {
      if (marker === null) return
      const bytes = typeof data === "string" ? Buffer.from(data) : Buffer.from(data as ArrayBuffer)
      if (bytes.includes(marker)) markerReceptions++
    },
    reset(next: string | null) {
      bytesOut = 0
      messagesOut = 0
      markerReceptions = 0
      marker = next
    },
    totals: () => ({ bytesOut, messagesOut, markerReceptions, openedAt, connections }),
  }
}
