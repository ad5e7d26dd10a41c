import { type ByteReader, type ByteWriter, DecodeError } from "@dunlin/core"
import { type PeerID, VersionVector } from "loro-crdt"

/** What a document holds: for each Loro peer id the number of its operations. Counters are above zero. */
export type Version = ReadonlyMap<PeerID, number>

/** As many Loro peer ids as a version lists on the wire (docs/protocol/loro.md). */
export const MAX_AUTHORS = 16_384
/** Loro counts the operations of a peer in 31 bits. */
export const MAX_COUNTER = 0x7fff_ffff
const PEER_BYTES = 8

export const EMPTY_VERSION: Version = new Map()

/**
 * Appends a version in its one canonical form: count, then peer (u64) and counter (varint) by ascending peer.
 * Loro's own encoding depends on the history of its hash table, so equal versions may differ in it.
 */
export function writeVersion(write: ByteWriter, version: Version): void {
  const entries = [...version].map(([peer, counter]) => ({ peer: BigInt(peer), counter }))
  entries.sort((a, b) => (a.peer < b.peer ? -1 : a.peer > b.peer ? 1 : 0))
  write.varint(entries.length)
  for (const { peer, counter } of entries) {
    write
      .u32(Number(peer >> 32n))
      .u32(Number(peer & 0xffff_ffffn))
      .varint(counter)
  }
}

/** Total over hostile input: a version of at most so many authors, or `DecodeError`. */
export function readVersion(read: ByteReader, maxAuthors: number = MAX_AUTHORS): Version {
  const count = read.count(maxAuthors, PEER_BYTES + 1)
  const version = new Map<PeerID, number>()
  let last = -1n
  for (let index = 0; index < count; index++) {
    const peer = (BigInt(read.u32()) << 32n) | BigInt(read.u32())
    if (peer <= last) throw new DecodeError("bad-value", "version not in ascending order of peers")
    last = peer
    const counter = read.varint(MAX_COUNTER)
    if (counter === 0) throw new DecodeError("bad-value", "version with an empty counter")
    version.set(peer.toString() as PeerID, counter)
  }
  return version
}

export function countOperations(version: Version): number {
  let count = 0
  for (const counter of version.values()) count += counter
  return count
}

/** Whether `version` holds everything that `other` holds. */
export function covers(version: Version, other: Version): boolean {
  for (const [peer, counter] of other) if ((version.get(peer) ?? 0) < counter) return false
  return true
}

/** What both hold. */
export function meet(a: Version, b: Version): Version {
  const both = new Map<PeerID, number>()
  for (const [peer, counter] of a) {
    const least = Math.min(counter, b.get(peer) ?? 0)
    if (least > 0) both.set(peer, least)
  }
  return both
}

export function sameVersion(a: Version, b: Version): boolean {
  return a.size === b.size && covers(a, b)
}

/** Reads one of Loro's version vectors and frees it: its memory is outside the JavaScript heap. */
export function takeVersion(vector: VersionVector): Version {
  try {
    const version = new Map<PeerID, number>()
    for (const [peer, counter] of vector.toJSON()) if (counter > 0) version.set(peer, counter)
    return version
  } finally {
    vector.free()
  }
}

/** Runs `use` with Loro's form of the version, which is freed afterwards. */
export function withVector<Result>(version: Version, use: (vector: VersionVector) => Result): Result {
  const vector = new VersionVector(version as Map<PeerID, number>)
  try {
    return use(vector)
  } finally {
    vector.free()
  }
}
