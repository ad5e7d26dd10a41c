import { createEntryPack, type EntryPack } from "../protocol/entry-words.ts"

/** Position and digest have 16 bytes each. */
export interface IndexEntry {
  readonly position: Uint8Array
  readonly digest: Uint8Array
  readonly key: string
}

/** Entries as `FingerprintIndex.build` takes them. */
export function packEntries(entries: Iterable<IndexEntry>): EntryPack {
  const pack = createEntryPack()
  for (const { position, digest, key } of entries) pack.add(position, digest, key)
  return pack
}
