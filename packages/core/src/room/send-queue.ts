import { createFingerprint, type FingerprintIndex, MAX_NODE_DEPTH } from "../protocol/fingerprint-index.ts"
import { mapKey, mapKeyBytes } from "../protocol/map-key.ts"
import { NO_BYTES } from "../protocol/same-bytes.ts"

export interface QueuedEntry {
  readonly position: Uint8Array
  /** What the peer holds, as far as it said. */
  readonly summary: Uint8Array
  /** The peer may hold it already: it is sent only while that is cheap. */
  readonly unasked: boolean
}

/** Entries that a peer lacks, read from the replica only when they can be sent. Whole subtrees take one place. */
export interface SendQueue {
  /** False when the queue is full. */
  addNode(depth: number, prefix: number): boolean
  /** False when the queue is full: a later reconciliation finds the entry again. */
  addEntry(position: Uint8Array, summary: Uint8Array | null): boolean
  /** The entry is newer than what the peer is known to have had. */
  addUnasked(position: Uint8Array): void
  /** Up to `limit` entries, those that were asked for first. */
  take(limit: number): readonly QueuedEntry[]
  clear(): void
  /** Entries, as the index counted them when they were queued. */
  readonly size: number
}

/** What all queues of a link keep of the peer's summaries. */
export interface KeptSummaries {
  bytes: number
}

const MAX_QUEUED = 65_536
/**
 * A peer that asks and does not read could fill the memory with summaries. Beyond this they are not kept, and the peer gets
 * the entries whole.
 */
const MAX_SUMMARIES_BYTES = 8_000_000
/** A subtree larger than this is opened into its children before its entries are listed. */
const LISTED_ENTRIES = 1_024

export function createSendQueue(index: FingerprintIndex, kept: KeptSummaries = { bytes: 0 }): SendQueue {
  /** Null for what nobody asked for. */
  const summaryByPosition = new Map<string, Uint8Array | null>()
  let nodes: { readonly depth: number; readonly prefix: number; readonly count: number }[] = []
  let nodeEntries = 0
  const scratch = createFingerprint()

  const queueNode = (depth: number, prefix: number): void => {
    const { count } = index.node(depth, prefix, scratch)
    if (count === 0) return
    nodes.push({ depth, prefix, count })
    nodeEntries += count
  }

  const listNextNode = (): void => {
    const node = nodes.pop()
    if (node === undefined) return
    const { depth, prefix } = node
    nodeEntries -= node.count
    if (index.node(depth, prefix, scratch).count > LISTED_ENTRIES && depth < MAX_NODE_DEPTH) {
      for (let child = 15; child >= 0; child--) queueNode(depth + 1, prefix * 16 + child)
      return
    }
    index.forEachIn(depth, prefix, (position) => {
      const key = mapKey(position)
      summaryByPosition.set(key, summaryByPosition.get(key) ?? NO_BYTES)
    })
  }

  return {
    addNode(depth, prefix) {
      // A peer may say thousands of times in one message that it has nothing: it gets everything twice at most.
      if (nodes.length >= MAX_QUEUED || nodeEntries > index.count) return false
      queueNode(depth, prefix)
      return true
    },
    addEntry(position, summary) {
      const key = mapKey(position)
      if (summaryByPosition.size >= MAX_QUEUED && !summaryByPosition.has(key)) return false
      const former = summaryByPosition.get(key) ?? NO_BYTES
      // A later request knows more about the peer.
      const grownBytes = (summary ?? former).length - former.length
      const isKept = kept.bytes + grownBytes <= MAX_SUMMARIES_BYTES
      if (isKept) kept.bytes += grownBytes
      summaryByPosition.set(key, isKept && summary !== null ? summary : former)
      return true
    },
    addUnasked(position) {
      const key = mapKey(position)
      if (!summaryByPosition.has(key)) summaryByPosition.set(key, null)
    },
    take(limit) {
      while (summaryByPosition.size < limit && nodes.length > 0) listNextNode()
      const taken: QueuedEntry[] = []
      for (const [key, summary] of summaryByPosition) {
        if (taken.length >= limit) break
        taken.push({ position: mapKeyBytes(key), summary: summary ?? NO_BYTES, unasked: summary === null })
        summaryByPosition.delete(key)
        kept.bytes -= summary?.length ?? 0
      }
      return taken
    },
    clear() {
      nodes = []
      nodeEntries = 0
      for (const summary of summaryByPosition.values()) kept.bytes -= summary?.length ?? 0
      summaryByPosition.clear()
    },
    get size() {
      return summaryByPosition.size + nodeEntries
    },
  }
}
