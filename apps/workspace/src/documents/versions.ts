import { LoroDoc, VersionVector, type PeerID } from "loro-crdt"

/** A copy of a document that can be set to any of its moments without disturbing the one being edited. */
export interface Versions {
  /** Moments from empty (0) to now. */
  readonly count: number
  at(index: number): Version
  free(): void
}

export interface Version {
  readonly text: string
  /** When the last change in it was made, if that was recorded. */
  readonly at: number | null
}

interface Run {
  readonly peer: PeerID
  readonly counter: number
  readonly length: number
  readonly timestamp: number
}

const MAX_MOMENTS = 400

export function openVersions(doc: LoroDoc): Versions {
  doc.commit()
  const copy = new LoroDoc()
  copy.import(doc.export({ mode: "snapshot" }))
  const runs = runsOf(copy)
  const total = runs.reduce((sum, run) => sum + run.length, 0)
  const count = Math.min(total, MAX_MOMENTS)

  return {
    count,
    at(index) {
      const wanted = count === 0 ? 0 : Math.round((total * index) / count)
      const { vector, timestamp } = prefixOf(runs, wanted)
      const version = new VersionVector(vector)
      copy.checkout(copy.vvToFrontiers(version))
      version.free()
      return { text: copy.getText("body").toString(), at: timestamp > 0 ? timestamp * 1_000 : null }
    },
    free: () => copy.free(),
  }
}

/** Every author's changes in one order that respects who had seen what. */
function runsOf(doc: LoroDoc): readonly Run[] {
  const runs: (Run & { readonly lamport: number })[] = []
  for (const [peer, changes] of doc.getAllChanges()) {
    for (const { counter, length, lamport, timestamp } of changes) {
      runs.push({ peer, counter, length, lamport, timestamp })
    }
  }
  return runs.sort((a, b) => a.lamport - b.lamport || (a.peer < b.peer ? -1 : 1))
}

function prefixOf(
  runs: readonly Run[],
  operations: number,
): { vector: Map<PeerID, number>; timestamp: number } {
  const vector = new Map<PeerID, number>()
  let left = operations
  let timestamp = 0
  for (const run of runs) {
    if (left <= 0) break
    const taken = Math.min(left, run.length)
    vector.set(run.peer, run.counter + taken)
    timestamp = Math.max(timestamp, run.timestamp)
    left -= taken
  }
  return { vector, timestamp }
}
