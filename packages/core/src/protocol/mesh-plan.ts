/** Whom a peer of a large room links to. Ids are signaling peer ids as hex: they are random, so they spread without hashing. */
export interface MeshPlan {
  /** Links that keep the room connected and are never given up: neighbours on the ring of ids, and the relays of a leaf. */
  readonly ring: ReadonlySet<string>
  /** Chords across the ring, which keep paths short, and the leaves of a relay. */
  readonly chords: ReadonlySet<string>
}

/** Two successors and two predecessors: the ring survives the sudden loss of any single peer. */
const RING_REACH = 2
/** A leaf that loses one relay has another. */
const LEAF_LINKS = 2

/**
 * Every peer computes the same links from the same list of present peers, so nobody has to ask or refuse: an edge is in
 * the plans of both its ends or of neither. With at most `maxLinks` others there is no plan: everyone links to everyone.
 * Relays form a ring, with chords that a hash of both ids ranks high on both sides. Leaves, which nobody relies on to pass
 * anything on, are attached to relays. They also have a ring of their own: two peers that accept entries from nobody turn
 * all others into leaves, who may well accept entries from each other. A peer that joins or leaves changes only edges near
 * it on the ring, and a few chords and places of leaves.
 */
export function planMesh(self: string, present: Iterable<string>, maxLinks: number): MeshPlan {
  const sorted = [...new Set(present).add(self)].toSorted()
  const leaves = sorted.filter(isLeafId)
  const relays = sorted.filter((id) => !isLeafId(id))
  // A first place for each leaf matters more than second neighbours on the ring, and these more than second places.
  const isTight = leaves.length > relays.length * (maxLinks - 2 * RING_REACH)
  const reach = Math.min(isTight ? 1 : RING_REACH, maxLinks >> 1)
  const places = Math.min(Math.ceil((LEAF_LINKS * leaves.length) / (relays.length - 1)), maxLinks - 2 * reach)
  const attached = attachLeaves(leaves, relays, Math.min(LEAF_LINKS, maxLinks - 2), places, self)
  if (isLeafId(self)) {
    const others = ringNeighbours(leaves, self, 1)
    return { ring: new Set([...attached, ...others]), chords: new Set() }
  }
  const ring = new Set(ringNeighbours(relays, self, reach))
  const topRanked = (id: string): readonly string[] =>
    ranked(id, relays).slice(0, maxLinks - ring.size - places)
  const chords = topRanked(self).filter((id) => !ring.has(id) && topRanked(id).includes(self))
  return { ring, chords: new Set([...chords, ...attached]) }
}

/** The lowest bit of an id says whether its peer is a leaf; the rest is random. */
export function leafId(id: Uint8Array, isLeaf: boolean): Uint8Array {
  return id.map((byte, at) => (at < id.length - 1 ? byte : (byte & 0xfe) | Number(isLeaf)))
}

export function isLeafId(id: string): boolean {
  return "13579bdf".includes(id.slice(-1))
}

/**
 * Each leaf in turn takes the relay that it ranks highest among those with a place left; then each takes a second one.
 * Returns the resulting links of `self`.
 */
function attachLeaves(
  leaves: readonly string[],
  relays: readonly string[],
  rounds: number,
  places: number,
  self: string,
): ReadonlySet<string> {
  const links = new Map([...leaves, ...relays].map((id) => [id, new Set<string>()]))
  const linksOf = (id: string): Set<string> => links.get(id) as Set<string>
  for (let round = 0; round < rounds; round++) {
    for (const leaf of leaves) {
      const own = linksOf(leaf)
      const relay = ranked(leaf, relays).find((id) => linksOf(id).size < places && !own.has(id))
      if (relay === undefined) continue
      own.add(relay)
      linksOf(relay).add(leaf)
    }
  }
  return linksOf(self)
}

/** The neighbours on both sides of `self`; may name one twice. */
function ringNeighbours(sorted: readonly string[], self: string, reach: number): readonly string[] {
  const at = sorted.indexOf(self)
  const others = [...sorted.slice(at + 1), ...sorted.slice(0, at)]
  return [...others.slice(0, reach), ...others.slice(others.length - reach)]
}

/** The others, sorted by the rank of their edge to `id`, highest first. */
function ranked(id: string, all: readonly string[]): readonly string[] {
  return all
    .filter((other) => other !== id)
    .map((other) => [edgeRank(id, other), other] as const)
    .toSorted(([a], [b]) => b - a)
    .map(([, other]) => other)
}

/**
 * The same from both ends, and no secret: somebody who picks a dozen ids can surround a peer. A member gains no data by
 * that, and could just as well fill the room.
 */
function edgeRank(a: string, b: string): number {
  const [low, high] = a < b ? [a, b] : [b, a]
  return mix(firstWord(low) ^ mix(firstWord(high)))
}

function firstWord(id: string): number {
  return Number.parseInt(id.slice(0, 8), 16)
}

function mix(value: number): number {
  let hash = value ^ (value >>> 16)
  hash = Math.imul(hash, 0x85eb_ca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
