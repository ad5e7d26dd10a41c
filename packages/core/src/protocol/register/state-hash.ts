import { ByteWriter } from "../byte-writer.ts"
import { contentHash } from "./content-hash.ts"
import { type Context, sortedEntries, writeIncarnation } from "./dot.ts"
import type { HashedValue } from "./value.ts"

/** How much of a state hash travels in summaries and deltas: enough to tell states of one document apart. */
export const FINGERPRINT_BYTES = 8

/** What the hash covers; a structural type, so that this file and the register do not import each other. */
interface Hashable {
  readonly context: Context
  readonly siblings: readonly {
    readonly dot: { readonly incarnation: string; readonly hlc: number }
    readonly hash: Uint8Array
  }[]
  readonly view: HashedValue | null
}

/** 32 bytes that are equal on every peer exactly when context, siblings and view are. */
export function stateHash({ context, siblings, view }: Hashable): Uint8Array<ArrayBuffer> {
  const write = scratch.reset().varint(context.size)
  for (const entry of sortedEntries(context)) writeIncarnation(write, entry[0]).u53(entry[1])
  write.varint(siblings.length)
  for (const { dot, hash } of siblings) writeIncarnation(write, dot.incarnation).u53(dot.hlc).bytes(hash)
  if (siblings.length > 1 && view !== null) write.bytes(view.hash)
  return contentHash(write.view())
}

/** Scratch space, used only within one call. */
const scratch = new ByteWriter(256)

export function stateFingerprint(state: Hashable): Uint8Array<ArrayBuffer> {
  return stateHash(state).slice(0, FINGERPRINT_BYTES)
}
