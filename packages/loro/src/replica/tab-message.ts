import { ByteReader, ByteWriter, DecodeError } from "@dunlin/core"

/** What the openers of one store tell each other. */
export type TabMessage =
  /** An inbox entry is durable: the holder of the lease takes it over. */
  | { readonly type: "inbox"; readonly key: number; readonly id: string; readonly delta: Uint8Array }
  /** The holder changed a document. */
  | {
      readonly type: "changed"
      readonly id: string
      readonly before: Uint8Array | null
      readonly stateHash: Uint8Array
      readonly delta: Uint8Array
    }

const TAG_INBOX = 1
const TAG_CHANGED = 2
const HASH_BYTES = 32
const MAX_ID_BYTES = 4_096

export function encodeTabMessage(message: TabMessage): Uint8Array<ArrayBuffer> {
  if (message.type === "inbox") {
    return new ByteWriter().u8(TAG_INBOX).varint(message.key).text(message.id).bytes(message.delta).finish()
  }
  const write = new ByteWriter()
    .u8(TAG_CHANGED)
    .text(message.id)
    .u8(message.before === null ? 0 : 1)
  if (message.before !== null) write.bytes(message.before)
  return write.bytes(message.stateHash).bytes(message.delta).finish()
}

export function decodeTabMessage(bytes: Uint8Array): TabMessage {
  const read = new ByteReader(bytes)
  const tag = read.u8()
  if (tag === TAG_INBOX) {
    return { type: "inbox", key: read.varint(), id: read.text(MAX_ID_BYTES), delta: read.rest() }
  }
  if (tag !== TAG_CHANGED) throw new DecodeError("unknown-tag", `tab message ${tag}`)
  const id = read.text(MAX_ID_BYTES)
  const before = read.u8() === 0 ? null : read.bytes(HASH_BYTES)
  return { type: "changed", id, before, stateHash: read.bytes(HASH_BYTES), delta: read.rest() }
}
