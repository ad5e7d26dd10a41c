import type { Clock, ReplicaHost } from "@dunlin/core"
import { LoroDoc } from "loro-crdt"

import type { DocumentInfo, LoroDocument, LoroDocuments } from "../loro-documents.ts"
import { describeLoroFailure, LoroReplicaError } from "../loro-replica-error.ts"
import type { OpenDocumentStore } from "../store/document-store.ts"
import type { StoreWriter } from "../store/store-writer.ts"
import { parseDelta } from "./document-delta.ts"
import { createDocumentHandle } from "./document-handle.ts"
import { assertDocumentId } from "./document-id.ts"
import { announcedHash } from "./document-recovery.ts"
import { readRow } from "./document-row.ts"
import type { DocumentSet } from "./document-set.ts"
import type { DocumentShelf, ShelfEntry } from "./document-shelf-api.ts"
import { freeQuietly } from "./live-document.ts"
import { describeDamage } from "./stored-document.ts"
import {
  type DocumentLimits,
  isTooLarge,
  refuseAuthors,
  refuseOperations,
  refuseUpdate,
} from "./update-check.ts"
import { EMPTY_VERSION, sameVersion, takeVersion, withVector } from "./version.ts"

export interface OpenDocumentsOptions {
  readonly shelf: DocumentShelf
  readonly set: DocumentSet
  readonly store: OpenDocumentStore
  readonly writer: StoreWriter
  readonly host: ReplicaHost
  readonly clock: Clock
  readonly limits: DocumentLimits
}

/** How often open documents are looked through for edits that nobody committed. */
const LOOK_EVERY_MS = 100
const LIST_PAGE = 1_000
const INBOX_PAGE = 64

/** The application's side of the documents. */
export function createDocuments(options: OpenDocumentsOptions): {
  readonly handle: LoroDocuments
  close(): Promise<void>
} {
  const { shelf, set, store, host, clock } = options
  const handles = new Set<LoroDocument>()
  let cancelLook: (() => void) | null = null
  let closed = false

  const look = (): void => {
    cancelLook = null
    for (const entry of shelf.entries()) if (entry.handles > 0 && entry.phase === "live") entry.live?.touch()
    lookLater()
  }
  const lookLater = (): void => {
    if (handles.size > 0 && !closed) cancelLook ??= clock.after(LOOK_EVERY_MS, look)
  }

  /** A page that is hidden may never run again: what is pending goes to the store while it still can. */
  const stopHiding = onHide(() => {
    for (const entry of shelf.entries()) if (entry.phase === "live") entry.live?.settle()
  })

  const assertOpen = (): void => {
    if (closed) throw new LoroReplicaError("closed", "the room of these documents is closed")
  }

  const take = async (id: string): Promise<ShelfEntry> => {
    const entry = await takeEvenDamaged(id)
    if (entry.damage === null) return entry
    const { damage } = entry
    shelf.release(entry)
    throw describeDamage(id, damage)
  }

  const takeEvenDamaged = async (id: string): Promise<ShelfEntry> => {
    assertDocumentId(id)
    assertOpen()
    const entry = await shelf.takeOne(id)
    if (entry.phase === "live" && !closed) return entry
    shelf.release(entry)
    assertOpen()
    throw new LoroReplicaError("document-deleted", `document "${id}" was deleted for ever: use another id`)
  }

  const handleFor = (entry: ShelfEntry): LoroDocument => {
    const handle = createDocumentHandle({ shelf, entry, host, onClose: (gone) => void handles.delete(gone) })
    handles.add(handle)
    lookLater()
    return handle
  }

  const withEntry = async <Result>(
    id: string,
    use: (entry: ShelfEntry) => Result | Promise<Result>,
    taking: (id: string) => Promise<ShelfEntry> = take,
  ): Promise<Result> => {
    const entry = await taking(id)
    try {
      return await use(entry)
    } finally {
      shelf.release(entry)
    }
  }

  /** What tabs have saved is listed, even if the lease holder has not moved it into the log yet. */
  const addInbox = async (infos: Map<string, DocumentInfo>, buried: Set<string>): Promise<void> => {
    let after = 0
    for (let full = true; full;) {
      const page = await store.inbox(after, INBOX_PAGE)
      for (const { id, bytes } of page) {
        const delta = parseDelta(bytes)
        if (delta.type === "tombstone") buried.add(id)
        if (delta.type === "invalid" || infos.has(id)) continue
        infos.set(id, { id, changedAt: clock.now(), storedBytes: bytes.length })
      }
      after = page.at(-1)?.key ?? after
      full = page.length === INBOX_PAGE
    }
    for (const id of buried) infos.delete(id)
  }

  /** Documents whose rows cannot be read are listed all the same, unless nothing else of them exists. */
  const addUnknown = async (
    infos: Map<string, DocumentInfo>,
    bytesById: ReadonlyMap<string, number>,
  ): Promise<void> => {
    for (const [id, storedBytes] of bytesById) {
      const [entry] = await shelf.take([id])
      if (entry === undefined) continue
      const isThere =
        entry.phase === "unreadable" ||
        entry.damage !== null ||
        (entry.phase === "live" && announcedHash(entry) !== null)
      if (isThere) infos.set(id, { id, changedAt: clock.now(), storedBytes })
      if (entry.phase !== "unreadable") shelf.release(entry)
    }
  }

  const importInto = async (entry: ShelfEntry, bytes: Uint8Array): Promise<void> => {
    const { id } = entry
    entry.live?.settle()
    const held = entry.live?.state().version ?? EMPTY_VERSION
    const refusal = refuseUpdate(bytes, { ...options.limits, held, snapshot: "allowed" })
    if (refusal !== null) throw notImported(id, refusal)
    const update = reexport(bytes, entry, options.limits.maxOperations)
    if (update.length === 0 && entry.damage === null) return
    const result = await set.integrate(
      id,
      { type: "push", update },
      { origin: "local", sender: "an import", store: "write" },
    )
    const { outcome, delta } = result
    if (outcome.type === "refused" || outcome.type === "incomplete") {
      throw notImported(
        id,
        outcome.type === "refused" ? outcome.reason : "they build on edits that are missing",
      )
    }
    if (outcome.type === "joined" && outcome.changed && delta !== null) {
      set.announce(result.durable, { key: id, before: outcome.before, stateHash: outcome.stateHash }, delta)
    }
    await result.durable
  }

  const exportOf = (entry: ShelfEntry): Uint8Array => {
    entry.live?.settle()
    return entry.live?.snapshot() ?? new Uint8Array(0)
  }

  const handle: LoroDocuments = {
    async open(id, { signal } = {}) {
      signal?.throwIfAborted()
      const entry = await take(id)
      if (signal?.aborted === true) {
        shelf.release(entry)
        throw signal.reason
      }
      return handleFor(entry)
    },
    async attach(id, doc) {
      const entry = await take(id)
      const refusal = refuseAttach(entry, doc, shelf)
      if (refusal !== null) {
        shelf.release(entry)
        throw new LoroReplicaError("document-open", refusal)
      }
      try {
        adopt(entry, doc, shelf, set)
      } catch (cause) {
        shelf.release(entry)
        throw new LoroReplicaError(
          "invalid-update",
          `this document cannot take in what is stored of "${id}": ${describeLoroFailure(cause).reason}`,
          { cause },
        )
      }
      return handleFor(entry)
    },
    import: (id, bytes) => withEntry(id, (entry) => importInto(entry, bytes), takeEvenDamaged),
    export: (id) => withEntry(id, exportOf),
    salvage: (id) => withEntry(id, exportOf, takeEvenDamaged),
    async list() {
      // After the writes under way. One that fails concerns its own document, and hides no other.
      await options.writer.write({}).catch(() => undefined)
      const infos = new Map<string, DocumentInfo>()
      const buried = new Set<string>()
      const unknown = new Map<string, number>()
      let after = 0
      for (let full = true; full;) {
        const rows = await store.changes(after, LIST_PAGE)
        for (const { id, bytes, isNameless } of rows) {
          const row = readRow(bytes)
          if (row.status === "deleted") buried.add(id)
          else if (row.status === "live")
            infos.set(id, { id, changedAt: row.changedAt, storedBytes: row.snapshotBytes + row.logBytes })
          else if (isNameless === undefined) unknown.set(id, bytes.length)
        }
        after = rows.at(-1)?.sequence ?? after
        full = rows.length === LIST_PAGE
      }
      await addUnknown(infos, unknown)
      await addInbox(infos, buried)
      return [...infos.values()]
    },
    async delete(id) {
      assertDocumentId(id)
      const entry = await shelf.takeOne(id)
      try {
        await set.remove(entry)
      } finally {
        shelf.release(entry)
      }
    },
    subscribe: (listener) => set.subscribe(listener),
    synced: (wait = {}) => host.synced(wait),
    links: host.links,
  }

  return {
    handle,
    async close() {
      if (closed) return
      closed = true
      cancelLook?.()
      stopHiding()
      await Promise.allSettled([...handles].map((open) => open.close()))
    },
  }
}

function refuseAttach(entry: ShelfEntry, doc: LoroDoc, shelf: DocumentShelf): string | null {
  if (entry.handles > 0 || entry.live === null)
    return `document "${entry.id}" is open already: close it before you attach your own`
  for (const { id, phase, live } of shelf.entries())
    if (phase !== "deleted" && live?.doc === doc)
      return `this LoroDoc is open as document "${id}" already: close that first`
  return null
}

/** Replaces our instance by the application's document, and announces what only that one held. */
function adopt(entry: ShelfEntry, doc: LoroDoc, shelf: DocumentShelf, set: DocumentSet): void {
  const before = entry.live?.state()
  shelf.adopt(entry, doc)
  if (entry.live === null || before === undefined) return
  const after = entry.live.state()
  if (sameVersion(before.version, after.version)) return
  set.local(entry, { before, after, update: entry.live.updateSince(before.version) })
}

function notImported(id: string, reason: string, cause?: unknown): LoroReplicaError {
  return new LoroReplicaError(
    isTooLarge(reason) ? "too-large" : "invalid-update",
    `these bytes cannot be taken into "${id}": ${reason}`,
    { cause },
  )
}

/**
 * What bytes of unknown origin add to a document, exported anew. A separate document imports them first, and must survive
 * an export and a reload, so that a crafted file breaks only that one.
 */
function reexport(bytes: Uint8Array, entry: ShelfEntry, maxOperations: number): Uint8Array {
  const held = entry.live?.state()
  const trial = new LoroDoc()
  const check = new LoroDoc()
  try {
    if (entry.live !== null && held !== undefined && held.hash !== null) trial.import(entry.live.snapshot())
    if (trial.import(bytes).pending !== null) throw new Error("they build on edits that are missing")
    const tooLarge = refuseOperations(trial.opCount(), maxOperations)
    if (tooLarge !== null) throw new Error(tooLarge)
    check.import(trial.export({ mode: "snapshot" }))
    const known = held?.version ?? EMPTY_VERSION
    const version = takeVersion(trial.oplogVersion())
    const tooMany = refuseAuthors(known, version)
    if (tooMany !== null) throw new Error(tooMany)
    if (sameVersion(known, version)) return new Uint8Array(0)
    return withVector(known, (from) => trial.export({ mode: "update", from }))
  } catch (cause) {
    throw notImported(entry.id, describeLoroFailure(cause).reason, cause)
  } finally {
    // Freeing a document that a crafted file broke may throw.
    for (const doc of [trial, check]) freeQuietly(doc)
  }
}

function onHide(settle: () => void): () => void {
  if (typeof document === "undefined" || typeof addEventListener === "undefined") return () => undefined
  const hidden = (): void => {
    if (document.visibilityState === "hidden") settle()
  }
  document.addEventListener("visibilitychange", hidden)
  addEventListener("pagehide", settle)
  addEventListener("blur", settle)
  return () => {
    document.removeEventListener("visibilitychange", hidden)
    removeEventListener("pagehide", settle)
    removeEventListener("blur", settle)
  }
}
