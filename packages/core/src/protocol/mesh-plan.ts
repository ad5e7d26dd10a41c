/** Whom a peer of a large room links to. Ids are signaling peer ids as hex: random, so they need no hashing to spread. */
export interface MeshPlan {
  /** Neighbours on the ring of ids: they keep the room in one piece and are never given up. */
  readonly ring: ReadonlySet<string>
  /** Chords across the ring: they keep the ways short. */
  readonly chords: ReadonlySet<string>
}

/** Two successors and two predecessors: a ring that stands the loss of any single peer at once. */
const RING_REACH = 2

/**
 * Every peer computes the same links from the same list of who is present, so nobody has to ask or refuse: an edge is in
 * the plan of both its ends or of none. With up to `maxLinks` others that is everyone. Above it is the ring, and chords
 * that a hash of both ids ranks high on both sides. One who comes or goes changes only edges near it on the ring
 * and a few chords.
 */
export function planMesh(self: string, present: Iterable<string>, maxLinks: number): MeshPlan {
  const others = [...new Set(present)].filter((id) => id !== self)
  if (others.length <= maxLinks) return { ring: new Set(others), chords: new Set() }
  const sorted = [...others, self].toSorted()
  const ring = ringNeighbours(sorted, self, Math.min(RING_REACH, maxLinks >> 1))
  const room = maxLinks - ring.size
  const chords = new Set<string>()
  for (const id of topRanked(self, sorted, room)) {
    if (!ring.has(id) && topRanked(id, sorted, room).has(self)) chords.add(id)
  }
  return { ring, chords }
}

function ringNeighbours(sorted: readonly string[], self: string, reach: number): Set<string> {
  const at = sorted.indexOf(self)
  const ring = new Set<string>()
  for (let step = 1; step <= reach; step++) {
    ring.add(sorted[(at + step) % sorted.length] as string)
    ring.add(sorted[(at - step + sorted.length) % sorted.length] as string)
  }
  ring.delete(self)
  return ring
}

/** The `count` ids whose edge to `id` ranks highest. */
function topRanked(id: string, all: readonly string[], count: number): ReadonlySet<string> {
  const best: { readonly other: string; readonly rank: number }[] = []
  for (const other of all) {
    if (other === id) continue
    const rank = edgeRank(id, other)
    const worst = best[best.length - 1]
    if (best.length === count && (worst === undefined || rank <= worst.rank)) continue
    if (best.length === count) best.pop()
    const at = best.findIndex((entry) => entry.rank < rank)
    best.splice(at < 0 ? best.length : at, 0, { other, rank })
  }
  return new Set(best.map(({ other }) => other))
}

/**
 * The same from both ends, and no secret: who picks a dozen ids can stand all around a peer. A member gains no data by that, and
 * could as well fill the room.
 */
function edgeRank(a: string, b: string): number {
  const [low, high] = a < b ? [a, b] : [b, a]
  return mix(idWord(low, 0) ^ mix(idWord(high, 0)) ^ Math.imul(idWord(low, 8) ^ idWord(high, 8), 0x9e37_79b1))
}

function idWord(id: string, at: number): number {
  let word = 0
  for (let index = at; index < at + 8; index++) word = (Math.imul(word, 31) + id.charCodeAt(index)) | 0
  return word
}

function mix(value: number): number {
  let hash = value ^ (value >>> 16)
  hash = Math.imul(hash, 0x85eb_ca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
