import type { Lane } from "../ports/transport.ts"
import { NO_BYTES } from "../protocol/same-bytes.ts"
import { seal, unseal } from "./primitives.ts"

/**
 * AES-GCM per message for paths that are not encrypted end to end by themselves. Each direction has a key, each lane a
 * counter. The nonce, `lane u32 | counter u64`, is never sent, so that lost, repeated or moved messages fail to open.
 */
export interface RecordLayer {
  /** Seals the message and passes it to `transmit`, in the order of the calls for each lane. */
  send(lane: Lane, message: Uint8Array): void
  /** Opens the message and passes it to `deliver`, in the order of the calls for each lane. */
  receive(lane: Lane, sealed: Uint8Array): void
  /** Bytes given to `send` and not yet transmitted. */
  sealing(lane: Lane): number
  close(): void
}

export interface RecordLayerOptions {
  readonly keys: { readonly send: CryptoKey; readonly receive: CryptoKey }
  transmit(lane: Lane, sealed: Uint8Array): void
  deliver(lane: Lane, message: Uint8Array): void
  /** Called once; nothing is delivered or transmitted afterwards. */
  failed(code: RecordFailure): void
}

export type RecordFailure =
  | "forged" // changed, lost, repeated or out of order on the path
  | "backlog" // the path brings more than can be opened

export const RECORD_OVERHEAD_BYTES = 16

/** Bytes that may wait to be opened; a sender that honours flow control never comes near this. */
const MAX_OPENING_BYTES = 16 * 1024 * 1024

export function createRecordLayer(options: RecordLayerOptions): RecordLayer {
  let over = false
  const outgoing = { control: createSequence(), bulk: createSequence() }
  const incoming = { control: createSequence(), bulk: createSequence() }

  const fail = (code: RecordFailure): void => {
    if (over) return
    over = true
    options.failed(code)
  }

  return {
    send(lane, message) {
      if (over) return
      const sequence = outgoing[lane]
      const sealing = seal(options.keys.send, sequence.nextNonce(lane), message, NO_BYTES)
      sequence.run(message.length, sealing, (sealed) => {
        if (!over) options.transmit(lane, sealed)
      })
    },
    receive(lane, sealed) {
      if (over) return
      const sequence = incoming[lane]
      if (sequence.bytes() + sealed.length > MAX_OPENING_BYTES) return fail("backlog")
      const opened = unseal(options.keys.receive, sequence.nextNonce(lane), sealed, NO_BYTES)
      sequence.run(sealed.length, opened, (message) => {
        if (over) return
        if (message === null) return fail("forged")
        options.deliver(lane, message)
      })
    },
    sealing: (lane) => outgoing[lane].bytes(),
    close() {
      over = true
    },
  }
}

interface Sequence {
  nextNonce(lane: Lane): Uint8Array
  /** WebCrypto may work on many messages at once; their results are taken in order. */
  run<T>(size: number, work: Promise<T>, take: (result: T) => void): void
  bytes(): number
}

function createSequence(): Sequence {
  let counter = 0
  let bytes = 0
  let tail: Promise<void> = Promise.resolve()
  return {
    nextNonce(lane) {
      const nonce = new Uint8Array(12)
      const view = new DataView(nonce.buffer)
      view.setUint32(0, lane === "control" ? 0 : 1)
      view.setBigUint64(4, BigInt(counter++))
      return nonce
    },
    run(size, work, take) {
      bytes += size
      tail = inOrder(tail, work, (result) => {
        bytes -= size
        take(result)
      })
    },
    bytes: () => bytes,
  }
}

async function inOrder<T>(before: Promise<void>, work: Promise<T>, take: (result: T) => void): Promise<void> {
  await before
  take(await work)
}
