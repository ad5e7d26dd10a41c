/** Uninterrupted edits by one author, as the document's graph of changes holds them. */
export interface Stretch {
  /** Loro peer id: a new one for each device and each start of the application. */
  readonly peer: string
  /** The author's device, as far as the document tells. */
  readonly author: string
  readonly counter: number
  readonly length: number
  readonly lamport: number
  /** The author's wall clock when the stretch began, in milliseconds; 0 if it was not recorded. */
  readonly at: number
  readonly deps: readonly { readonly peer: string; readonly counter: number }[]
  /** A note comes from the application itself, not from anything that a person did. */
  readonly kind: "edit" | "restore" | "note"
}

/** What a person sees as one change: all that somebody wrote until they paused, or until somebody else edited it. */
export interface HistoryStep {
  /** Several if people wrote at the same time. */
  readonly authors: readonly string[]
  readonly from: number
  readonly to: number
  /** The step brought back a former version. */
  readonly isRestore: boolean
  /** In an order in which no stretch comes before one that it builds on. */
  readonly stretches: readonly Stretch[]
}

/** A longer pause begins a new step. */
export const PAUSE_MS = 5 * 60_000
/**
 * An author who goes on this soon after somebody else came in counts as writing together with them. Two people who type
 * at the same time build on each other's letters, and every letter would otherwise be a step.
 */
export const TOGETHER_MS = 10_000

interface Draft {
  /** The step into which this one was merged. */
  into: Draft | null
  index: number
  readonly lastByAuthor: Map<string, number>
  from: number
  to: number
  readonly isRestore: boolean
  readonly stretches: Stretch[]
}

/**
 * Groups changes into steps, oldest first. A change never comes before one that it builds on, so every prefix of the
 * list is a version that the document could have had.
 */
export function groupIntoSteps(stretches: readonly Stretch[]): readonly HistoryStep[] {
  const steps: Draft[] = []
  const latestByAuthor = new Map<string, Draft>()
  const stepOf = new Map<Stretch, Draft>()
  const find = createLookup(stretches)
  for (const stretch of inOrder(stretches, find)) {
    const lastSeen = dependenciesOf(stretch).reduce(
      (last, { peer, counter }) => Math.max(last, indexOf(stepOf, find(peer, counter))),
      -1,
    )
    if (stretch.kind === "note") {
      stepOf.set(stretch, addNote(stretch, lastSeen))
      continue
    }
    const step = stepFor(stretch, resolve(latestByAuthor.get(stretch.author)), lastSeen)
    stepOf.set(stretch, step)
    latestByAuthor.set(stretch.author, step)
  }
  return steps.map(({ lastByAuthor, from, to, isRestore, stretches: parts }) => ({
    authors: [...lastByAuthor.keys()],
    from,
    to,
    isRestore,
    stretches: parts,
  }))

  function stepFor(stretch: Stretch, own: Draft | null, lastSeen: number): Draft {
    const goesOn = own !== null && stretch.kind === "edit" && !own.isRestore
    const since = goesOn ? Math.abs(stretch.at - (own.lastByAuthor.get(stretch.author) ?? 0)) : Infinity
    if (goesOn && lastSeen <= own.index && since <= PAUSE_MS) return add(own, stretch)
    if (goesOn && lastSeen > own.index && since <= TOGETHER_MS && mayJoin(own.index)) {
      for (const other of steps.splice(own.index + 1)) merge(own, other)
      return add(own, stretch)
    }
    return begin(stretch, [[stretch.author, stretch.at]])
  }

  function begin(stretch: Stretch, authors: readonly (readonly [string, number])[]): Draft {
    const { at, kind } = stretch
    const isRestore = kind === "restore"
    const begun: Draft = { into: null, index: steps.length, lastByAuthor: new Map(authors), from: at, to: at, isRestore, stretches: [stretch] }
    steps.push(begun)
    return begun
  }

  /** A note belongs to the step after which it was written, and ends none. */
  function addNote(stretch: Stretch, lastSeen: number): Draft {
    const step = steps[lastSeen]
    step?.stretches.push(stretch)
    return step ?? begin(stretch, [])
  }

  function mayJoin(from: number): boolean {
    return steps.slice(from).every(({ isRestore }) => !isRestore)
  }
} // prettier-ignore

function add(step: Draft, stretch: Stretch): Draft {
  step.stretches.push(stretch)
  step.lastByAuthor.set(stretch.author, stretch.at)
  step.from = Math.min(step.from, stretch.at)
  step.to = Math.max(step.to, stretch.at)
  return step
}

function merge(step: Draft, other: Draft): void {
  for (const stretch of other.stretches) step.stretches.push(stretch)
  for (const [author, at] of other.lastByAuthor) step.lastByAuthor.set(author, at)
  step.from = Math.min(step.from, other.from)
  step.to = Math.max(step.to, other.to)
  other.into = step
}

function resolve(step: Draft | undefined): Draft | null {
  let found = step ?? null
  while (found?.into) found = found.into
  return found
}

function indexOf(stepOf: ReadonlyMap<Stretch, Draft>, stretch: Stretch | null): number {
  return (stretch === null ? null : resolve(stepOf.get(stretch)))?.index ?? -1
}

/** What a stretch builds on. Loro leaves its author's own last operation out of `deps` if there is another one. */
function dependenciesOf({ deps, peer, counter }: Stretch): Stretch["deps"] {
  return [...deps, { peer, counter: counter - 1 }]
}

type Lookup = (peer: string, counter: number) => Stretch | null

/** Finds the stretch that contains an operation. */
function createLookup(stretches: readonly Stretch[]): Lookup {
  const byPeer = new Map<string, Stretch[]>()
  for (const stretch of stretches) {
    const known = byPeer.get(stretch.peer)
    if (known === undefined) byPeer.set(stretch.peer, [stretch])
    else known.push(stretch)
  }
  for (const list of byPeer.values()) list.sort((a, b) => a.counter - b.counter)
  return (peer, counter) => {
    if (counter < 0) return null
    const list = byPeer.get(peer) ?? []
    let [low, high] = [0, list.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((list[middle]?.counter ?? 0) <= counter) low = middle + 1
      else high = middle
    }
    return list[low - 1] ?? null
  }
}

/**
 * Orders by the clock, as people remember it, but never puts a stretch before one that it builds on. The clocks of
 * several devices differ, and Lamport numbers alone would shuffle what was written independently.
 */
function inOrder(stretches: readonly Stretch[], find: Lookup): readonly Stretch[] {
  const momentOf = new Map<Stretch, number>()
  const byLamport = [...stretches].sort((a, b) => a.lamport - b.lamport)
  for (const stretch of byLamport) {
    const moment = dependenciesOf(stretch).reduce((latest, { peer, counter }) => {
      const one = find(peer, counter)
      return Math.max(latest, (one === null ? undefined : momentOf.get(one)) ?? 0)
    }, stretch.at)
    momentOf.set(stretch, moment)
  }
  const moment = (stretch: Stretch): number => momentOf.get(stretch) ?? 0
  return byLamport.sort(
    (a, b) =>
      moment(a) - moment(b) || a.lamport - b.lamport || (a.peer < b.peer ? -1 : a.peer > b.peer ? 1 : 0),
  )
}
