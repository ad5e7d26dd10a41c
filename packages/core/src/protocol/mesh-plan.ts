/** Whom a peer of a large room links to. Ids are signaling peer ids as hex: random, so they need no hashing to spread. */
export interface MeshPlan {
  /** What keeps the room in one piece and is never given up: neighbours on the ring of ids, and the relays of a leaf. */
  readonly ring: ReadonlySet<string>
  /** Chords across the ring, which keep the ways short, and the leaves of a relay. */
  readonly chords: ReadonlySet<string>
}

/** Two successors and two predecessors: a ring that stands the loss of any single peer at once. */
const RING_REACH = 2
/** A leaf that loses one relay has another. */
const LEAF_LINKS = 2

/**
 * Every peer computes the same links from the same list of who is present, so nobody has to ask or refuse: an edge is in
 * the plan of both its ends or of none. With up to `maxLinks` others that is everyone. Above it is a ring of the relays, and
 * chords that a hash of both ids ranks high on both sides; a leaf passes nothing on, and is hung on relays. One who comes
 * or goes changes only edges near it on the ring, and a few chords and places of leaves.
 */
export function planMesh(self: string, present: Iterable<string>, maxLinks: number): MeshPlan {
  const sorted = [...new Set(present).add(self)].toSorted()
  if (sorted.length <= maxLinks + 1) {
    return { ring: new Set(sorted.filter((id) => id !== self)), chords: new Set() }
  }
  const leaves = sorted.filter(isLeafId)
  const relays = sorted.filter((id) => !isLeafId(id))
  const otherRelays = relays.length - 1
  // One place for each leaf counts more than second neighbours on the ring, and those more than second places.
  const isTight = leaves.length > relays.length * (maxLinks - 2 * RING_REACH)
  const reach = Math.min(isTight ? 1 : RING_REACH, maxLinks >> 1)
  const places = Math.min(
    Math.ceil((LEAF_LINKS * leaves.length) / Math.max(1, otherRelays)),
    maxLinks - Math.min(2 * reach, otherRelays),
  )
  const relaysByLeaf = hangLeaves(leaves, relays, places)
  const hung = relaysByLeaf.get(self)
  if (hung !== undefined && leaves.length <= relays.length * places) {
    return { ring: new Set(hung), chords: new Set() }
  }
  // Leaves that are too many may still take from each other: it is their `authorize` that says so.
  const peers = hung === undefined ? relays : leaves
  const ring = ringNeighbours(peers, self, reach)
  const room = maxLinks - ring.size - (hung === undefined ? places : LEAF_LINKS)
  const chords = new Set(leaves.filter((id) => relaysByLeaf.get(id)?.includes(self)))
  for (const id of ranked(self, peers).slice(0, Math.max(0, room))) {
    if (!ring.has(id) && ranked(id, peers).slice(0, room).includes(self)) chords.add(id)
  }
  for (const id of hung ?? []) ring.add(id)
  return { ring, chords }
}

/** The lowest bit of an id says that its peer is a leaf. Ids are otherwise random. */
export function isLeafId(id: string): boolean {
  return Number.parseInt(id.slice(-1), 16) % 2 === 1
}

/** Each leaf in turn takes the relay that it ranks highest among those with a place left; then each a second one. */
function hangLeaves(
  leaves: readonly string[],
  relays: readonly string[],
  places: number,
): ReadonlyMap<string, readonly string[]> {
  const relaysByLeaf = new Map(leaves.map((leaf) => [leaf, [] as string[]]))
  const placesLeft = new Map(relays.map((relay) => [relay, places]))
  for (let round = 0; round < LEAF_LINKS; round++) {
    for (const [leaf, hung] of relaysByLeaf) {
      const relay = ranked(leaf, relays).find((id) => placesLeft.get(id) !== 0 && !hung.includes(id))
      if (relay === undefined) continue
      hung.push(relay)
      placesLeft.set(relay, (placesLeft.get(relay) as number) - 1)
    }
  }
  return relaysByLeaf
}

function ringNeighbours(sorted: readonly string[], self: string, reach: number): Set<string> {
  const at = sorted.indexOf(self)
  const ring = new Set<string>()
  for (let step = 1; step <= reach; step++) {
    ring.add(sorted[(at + step) % sorted.length] as string)
    // From the end where it is negative.
    ring.add(sorted.at((at - step) % sorted.length) as string)
  }
  ring.delete(self)
  return ring
}

/** Others by the rank of their edge to `id`, the highest first. */
function ranked(id: string, all: readonly string[]): readonly string[] {
  return all
    .filter((other) => other !== id)
    .map((other) => [edgeRank(id, other), other] as const)
    .toSorted(([a], [b]) => b - a)
    .map(([, other]) => other)
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
