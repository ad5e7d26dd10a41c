import { type Change, LoroDoc, type OpId, type PeerID } from "loro-crdt"

import { takeVersion } from "../replica/version.ts"

import { AUTHORS_CONTAINER, readAuthors, RESTORE_ORIGIN } from "./authors.ts"

/** A stretch of edits by one author without a long pause. */
export interface HistoryEntry {
  /** Loro peer id: one per device and start of the application. */
  readonly peer: PeerID
  /** 64 hex digits, as the author's device wrote it into the document; null when it did not. A claim, not a proof. */
  readonly device: string | null
  /** Wall clock of the author, in milliseconds, of the first edit of the stretch. */
  readonly at: number
  /** How many operations the stretch has. */
  readonly operations: number
  /** The document as its author saw it after the stretch: for `at` and `restore`. */
  readonly version: DocumentVersion
}

/** A moment in the history of a document: the heads of its graph of changes. */
export type DocumentVersion = readonly OpId[]

/** Who edited a document and when, and what it was then. */
export interface DocumentHistory {
  /** Newest first. */
  list(): readonly HistoryEntry[]
  /** The document as it was, as a separate read-only copy. The caller frees it with `free()`. */
  at(version: DocumentVersion): LoroDoc
  /**
   * Makes the document look as it did then, by new edits that others receive like any other. For an undo on this device that
   * is one step; its commit has the origin "restore".
   */
  restore(version: DocumentVersion): void
}

export function createDocumentHistory(doc: () => LoroDoc): DocumentHistory {
  return {
    list: () => listHistory(doc()),
    at(version) {
      const present = doc()
      present.commit()
      return copyAt(present, version)
    },
    restore(version) {
      const present = doc()
      present.commit()
      // Somebody may have checked out a version to look at it. Loro makes no edits in that state.
      if (present.isDetached()) present.checkoutToLatest()
      const authors = readAuthorEntries(present)
      present.revertTo([...version])
      restoreAuthors(present, authors)
      present.commit({ origin: RESTORE_ORIGIN })
    },
  }
}

/**
 * Loro's own `forkAt` takes a document back to the version and forth again, which takes seconds for 100,000 operations.
 * Exporting what the version holds, and importing it, takes a fraction of that.
 */
function copyAt(present: LoroDoc, version: DocumentVersion): LoroDoc {
  const held = takeVersion(present.frontiersToVV([...version]))
  const past = new LoroDoc()
  try {
    if (held.size > 0) {
      const spans = [...held].map(([peer, len]) => ({ id: { peer, counter: 0 }, len }))
      past.import(present.export({ mode: "updates-in-range", spans }))
    }
    past.detach()
    return past
  } catch (error) {
    past.free()
    throw error
  }
}

function listHistory(doc: LoroDoc): readonly HistoryEntry[] {
  doc.commit()
  const devicesByPeer = readAuthors(doc)
  const entries: { readonly lamport: number; readonly entry: HistoryEntry }[] = []
  for (const changes of doc.getAllChanges().values()) {
    for (const change of changes) {
      const entry: HistoryEntry = {
        peer: change.peer,
        device: devicesByPeer.get(change.peer) ?? null,
        at: timeOf(change),
        operations: change.length,
        version: [{ peer: change.peer, counter: change.counter + change.length - 1 }],
      }
      entries.push({ lamport: lastLamport(change), entry })
    }
  }
  // Clocks of different devices give no order; Lamport numbers follow cause and effect.
  entries.sort((a, b) => b.lamport - a.lamport || (a.entry.peer < b.entry.peer ? -1 : 1))
  return entries.map(({ entry }) => entry)
}

/** Peers may claim any time. One beyond the range of dates (ECMA-262) counts as unknown. */
function timeOf({ timestamp }: Change): number {
  const at = timestamp * 1_000
  return Math.abs(at) <= MAX_TIME_MS ? at : 0
}

const MAX_TIME_MS = 8_640_000_000_000_000

function lastLamport(change: Change): number {
  return change.lamport + change.length - 1
}

function readAuthorEntries(doc: LoroDoc): readonly (readonly [string, unknown])[] {
  const map = doc.getMap(AUTHORS_CONTAINER)
  try {
    return map.entries()
  } finally {
    map.free()
  }
}

/** After a restore, the document must still tell who wrote the edits that it took back. */
function restoreAuthors(doc: LoroDoc, entries: readonly (readonly [string, unknown])[]): void {
  const map = doc.getMap(AUTHORS_CONTAINER)
  try {
    for (const [peer, device] of entries)
      if (map.get(peer) === undefined && device instanceof Uint8Array) map.set(peer, device)
  } finally {
    map.free()
  }
}
