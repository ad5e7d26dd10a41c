import type { LoroDoc } from "loro-crdt"

import { describeLoroFailure } from "../loro-replica-error.ts"
import type { StoredDocument } from "../store/document-store.ts"
import { createDocumentAuditor } from "./document-audit.ts"
import { createJournal } from "./document-journal.ts"
import { openDamage } from "./document-recovery.ts"
import { type DocumentRow, readRow } from "./document-row.ts"
import type { DocumentShelf, ShelfEntry, ShelfOptions } from "./document-shelf-api.ts"
import { sameHash } from "./document-state.ts"
import {
  copyInto,
  createLoroDoc,
  freeQuietly,
  type LiveDocument,
  prepareLoroDoc,
  takeFreshPeerId,
  watchDocument,
} from "./live-document.ts"
import {
  describeDamage,
  type DocumentDamage,
  findStored,
  isCovered,
  readStored,
  storedBlobs,
} from "./stored-document.ts"
import { covers, EMPTY_VERSION, sameVersion, type Version } from "./version.ts"

export function createDocumentShelf(options: ShelfOptions): DocumentShelf {
  const { store, writer, clock, random } = options
  // In order of last use, the least recent first.
  const entriesById = new Map<string, ShelfEntry>()
  /** Documents that are whole in memory, but of which something stored cannot be read. */
  const brokenOnDisk = new WeakSet<ShelfEntry>()
  /** By damaged document, the devices that this one has sent some of it: kept while the document is out of memory. */
  const suppliedById = new Map<string, Set<string>>()

  const createEntry = (id: string): ShelfEntry => {
    const entry: ShelfEntry = {
      id,
      phase: "loading",
      live: null,
      pins: 0,
      handles: 0,
      owned: true,
      damage: null,
      ready: Promise.resolve(),
      watchers: new Set(),
      audit: createDocumentAuditor({
        clock,
        live: () => (entry.phase === "live" && entry.handles > 0 ? entry.live : null),
        onFailure: (live, error) => failed(entry, live, error, "Loro failed to read what it holds"),
      }),
      journal: createJournal({
        id,
        writer,
        clock,
        isHolder: options.isHolder,
        live: () => entry.live,
        onRecovered: () => options.onRecovered(entry),
        onExportFailed: (live, error) =>
          failed(entry, live, error, "Loro failed to export what is to be stored"),
        onInbox: (key, delta) => options.onInbox(id, key, delta),
        onFailure: (cause) =>
          options.report({
            type: "warning",
            reason: `document "${id}" could not be stored, trying again`,
            cause,
          }),
      }),
    }
    entriesById.set(id, entry)
    return entry
  }

  const failed = (entry: ShelfEntry, live: LiveDocument, error: unknown, what: string): void => {
    const { trap, reason } = describeLoroFailure(error)
    options.report({ type: "quarantined", key: entry.id, reason: `${what}: ${reason}` })
    if (trap && entry.live === live) void reload(entry)
  }

  const watch = (entry: ShelfEntry, doc: LoroDoc): void => {
    const live: LiveDocument = watchDocument({
      doc,
      clock,
      random,
      device: options.device,
      onLocal: (change) => options.onLocal(entry, change),
      onForeignPeerId: () =>
        options.report({
          type: "warning",
          reason: `document "${entry.id}" was edited under a Loro peer id that the application set, or Loro for an edit of an earlier version: do not call setPeerId(), since an id used twice makes documents differ for ever`,
        }),
      onFailure: ({ trap, reason }) => {
        options.report({
          type: "quarantined",
          key: entry.id,
          reason: `Loro failed on local edits: ${reason}`,
        })
        if (trap && entry.live === live) void reload(entry)
      },
    })
    entry.live = live
    entry.phase = "live"
  }

  const load = async (
    entry: ShelfEntry,
    mayBeStored: Promise<(id: string) => boolean> | null,
  ): Promise<void> => {
    if (mayBeStored !== null && !(await mayBeStored)(entry.id)) {
      watch(entry, createLoroDoc(random))
      return
    }
    const stored = await store.load(entry.id)
    const read = readStored(entry.id, stored, random)
    const { row } = read
    if (read.type === "deleted") {
      entry.phase = "deleted"
      resume(entry, stored, row, { version: EMPTY_VERSION, waiting: null })
      return
    }
    const { doc, damage, waiting } = read
    const { hash, version } = read.state
    watch(entry, doc)
    resume(entry, stored, row, { version, waiting })
    if (damage !== null && !isCovered(damage, version)) return setDamaged(entry, damage)
    suppliedById.delete(entry.id)
    // With edits in the inbox, the row may be ahead of the log, because it was written from a document that held them. It is
    // written again when they are taken in.
    if (stored.row === null || !options.isHolder() || stored.inbox.length > 0) return
    if (damage !== null && entry.live !== null) {
      reportRepair(entry)
      return void entry.journal.rewrite(entry.live, []).catch(() => undefined)
    }
    if (row === null || !sameHash(row.hash, hash) || !sameVersion(row.version, version)) repair(entry)
  }

  const reportRepair = ({ id }: ShelfEntry): void =>
    options.report({
      type: "warning",
      reason: `document "${id}" was damaged in the store and is repaired: nothing of it is missing`,
    })

  const setDamaged = (entry: ShelfEntry, damage: DocumentDamage): void => {
    const supplied = suppliedById.get(entry.id) ?? new Set<string>()
    suppliedById.set(entry.id, supplied)
    entry.damage = openDamage(damage, options.device, supplied)
    options.report({
      type: "quarantined",
      key: entry.id,
      reason: `the document is damaged in the store, and waits for another device that holds it: ${damage.reason}`,
    })
    options.onDamaged(entry)
  }

  /** `version` is what snapshot and log hold. Less is safe; anything beyond that would be left out when the log is merged. */
  const resume = (
    entry: ShelfEntry,
    stored: StoredDocument,
    row: DocumentRow | null,
    { version, waiting }: { readonly version: Version; readonly waiting: Uint8Array | null },
  ): void =>
    entry.journal.resume({
      snapshotBytes: stored.snapshot?.length ?? 0,
      logBytes: stored.log.reduce((sum, item) => sum + item.bytes.length, 0),
      logCount: stored.log.length,
      logNext: Math.max(row?.logNext ?? 0, (stored.log.at(-1)?.sequence ?? -1) + 1),
      version,
      waiting,
      buried: row?.status === "deleted",
    })

  /** The log and its row disagree, as when one write between others failed: the log is right. */
  const repair = (entry: ShelfEntry): void => {
    if (entry.live === null) return
    options.report({
      type: "warning",
      reason: `the index of document "${entry.id}" was out of date or damaged, and is mended`,
    })
    entry.journal.refresh(entry.live).catch(() => undefined)
  }

  const reload = (entry: ShelfEntry): Promise<void> => {
    // A failure that is noticed while the document is being read again concerns the same instance.
    if (entry.phase === "loading") return entry.ready
    const left = entry.live?.abandon() ?? []
    const handles = entry.phase === "live"
    entry.phase = "loading"
    entry.owned = true
    entry.ready = (async () => {
      await writer.idle()
      const own = [...entry.journal.restart(), ...left]
      try {
        await loadAgain(entry)
        for (const update of own.slice()) {
          await keepOwn(entry, update)
          own.shift()
        }
        // An application that has it open must not continue with less than there was.
        assertWhole(entry)
      } catch (error) {
        for (const update of own) await leave(entry, update)
        entry.phase = "failed"
        entry.live?.abandon()
        entry.live = null
        for (const watcher of [...entry.watchers]) watcher()
        throw error
      }
      if (handles) for (const watcher of [...entry.watchers]) watcher()
    })()
    // Whoever takes the entry sees the failure; in case nobody does, it is reported here.
    entry.ready.catch((cause: unknown) =>
      options.report({
        type: "quarantined",
        key: entry.id,
        reason: "the document could not be read again",
        cause,
      }),
    )
    return entry.ready
  }

  const loadAgain = async (entry: ShelfEntry): Promise<void> => {
    entry.damage = null
    await load(entry, null)
  }

  /** Local edits that were not stored when the instance broke. */
  const keepOwn = async (entry: ShelfEntry, update: Uint8Array): Promise<void> => {
    const { live } = entry
    if (live === null) return
    // Nothing else is stored of a damaged document.
    if (entry.damage !== null) await leave(entry, update)
    const outcome = live.integrate(update)
    if (outcome.type === "trapped") {
      live.abandon()
      await writer.idle()
      await loadAgain(entry)
    }
    if (entry.damage !== null) return
    if (outcome.type !== "integrated" || outcome.pending) await leave(entry, update)
    if (outcome.type !== "integrated" || outcome.update === null) return
    options.onLocal(entry, { before: outcome.before, after: live.state(), update: outcome.update })
  }

  /** What builds on something that cannot be read stays in the inbox, which is read whenever the document is. */
  const leave = (entry: ShelfEntry, update: Uint8Array): Promise<void> =>
    entry.journal.leave(update).catch((cause: unknown) =>
      options.report({
        type: "warning",
        reason: `edits of document "${entry.id}" that could not be stored were lost with the instance that held them`,
        cause,
      }),
    )

  const evict = (): void => {
    let idle = 0
    for (const entry of entriesById.values()) if (entry.pins === 0) idle += 1
    for (const entry of entriesById.values()) {
      if (idle <= options.maxIdleDocuments) return
      if (entry.pins > 0) continue
      entry.live?.settle()
      if (!entry.journal.isIdle()) continue
      drop(entry)
      idle -= 1
    }
  }

  /**
   * Lets go of the application's own document, which may be edited or freed from now on. If something is still to be stored,
   * one of ours takes its place.
   */
  const giveBack = (entry: ShelfEntry): void => {
    entry.live?.settle()
    const { live } = entry
    // Loro has just broken it, and it is being read again.
    if (entry.phase !== "live" || live === null || entry.owned) return
    if (entry.journal.isIdle()) return drop(entry)
    try {
      const own = createLoroDoc(random)
      copyInto(own, live)
      live.abandon()
      entry.owned = true
      watch(entry, own)
    } catch (error) {
      failed(entry, live, error, "Loro failed to export what is to be stored")
    }
  }

  const drop = (entry: ShelfEntry): void => {
    entriesById.delete(entry.id)
    entry.journal.stop()
    entry.audit.stop()
    entry.live?.abandon()
    if (entry.owned && entry.live !== null) freeQuietly(entry.live.doc)
    entry.live = null
    entry.phase = "failed"
  }

  const shelf: DocumentShelf = {
    async take(ids) {
      for (const id of ids) {
        const failed = entriesById.get(id)
        if (failed?.phase === "failed" && failed.pins === 0) drop(failed)
      }
      const missing = [...new Set(ids)].filter((id) => !entriesById.has(id))
      const mayBeStored = missing.length > 0 && options.isHolder() ? findStored(store, missing) : null
      mayBeStored?.catch(() => undefined)
      for (const id of missing) {
        const entry = createEntry(id)
        entry.ready = load(entry, mayBeStored)
        entry.ready.catch(() => undefined)
      }
      const taken = ids.map((id) => {
        const entry = entriesById.get(id) ?? createEntry(id)
        entry.pins += 1
        entriesById.delete(id)
        entriesById.set(id, entry)
        return entry
      })
      const settled = await Promise.allSettled(taken.map((entry) => entry.ready))
      return taken.map((entry, index) => {
        const result = settled[index]
        if (result?.status !== "rejected") return entry
        entry.pins -= 1
        entry.phase = "failed"
        if (entry.pins === 0 && entriesById.get(entry.id) === entry) drop(entry)
        return { id: entry.id, phase: "unreadable", cause: result.reason as unknown }
      })
    },
    async takeOne(id) {
      const [entry] = await shelf.take([id])
      if (entry === undefined || entry.phase === "unreadable") throw entry?.cause
      return entry
    },
    release(entry) {
      entry.pins -= 1
      if (entry.pins > 0) return
      if (!entry.owned) giveBack(entry)
      evict()
    },
    get: (id) => entriesById.get(id),
    entries: () => entriesById.values(),
    adopt(entry, doc) {
      const own = entry.live
      if (own === null) return
      own.settle()
      doc.commit()
      if (doc.isShallow()) throw new Error("it is shallow: without its early history it cannot be shared")
      // Our instance stays in place until the application's holds all of it.
      copyInto(doc, own)
      own.abandon()
      if (entry.owned) freeQuietly(own.doc)
      prepareLoroDoc(doc)
      // Its own peer id may have been used elsewhere since, for example by another copy of what it was loaded from.
      takeFreshPeerId(doc, random)
      entry.owned = false
      watch(entry, doc)
    },
    reload,
    async refresh(entry) {
      await writer.idle()
      const stored = await store.load(entry.id)
      const row = stored.row === null ? null : readRow(stored.row)
      const known = row?.status === "live" || row?.status === "deleted" ? row : null
      if (row?.status === "deleted") {
        if (entry.phase === "live") shelf.kill(entry)
      } else if (entry.phase === "live" && entry.live !== null) {
        const { live } = entry
        live.settle()
        const outcomes = storedBlobs(stored).map((bytes) => live.integrate(bytes).type)
        const isReadable = outcomes.every((type) => type === "integrated")
        const isWhole = row?.status === "live" && covers(live.state().version, row.version)
        // The lease holder has mended the document meanwhile.
        if (isReadable && isWhole) entry.damage = null
        if (!isReadable && isWhole) brokenOnDisk.add(entry)
        else brokenOnDisk.delete(entry)
      }
      // The document in memory may hold operations that are not in the log yet.
      resume(entry, stored, known, { version: EMPTY_VERSION, waiting: entry.live?.pending() ?? null })
    },
    async keepAll(entry) {
      if (entry.phase === "deleted") await entry.journal.bury()
      const [bytes] = await store.rows([entry.id])
      const { live } = entry
      if (live === null || entry.phase !== "live" || entry.damage !== null) return
      live.settle()
      if (brokenOnDisk.delete(entry)) {
        reportRepair(entry)
        return entry.journal.rewrite(live, [])
      }
      const row = bytes === null || bytes === undefined ? null : readRow(bytes)
      const kept = row !== null && "version" in row ? row.version : EMPTY_VERSION
      const { version } = live.state()
      if (!covers(kept, version)) await entry.journal.append(live, live.updateSince(kept), kept)
    },
    kill(entry) {
      entry.live?.abandon()
      entry.audit.stop()
      entry.damage = null
      suppliedById.delete(entry.id)
      entry.phase = "deleted"
      for (const watcher of [...entry.watchers]) watcher()
    },
    async close() {
      // A document that finished loading after this would be watched, and kept in memory, for ever.
      await Promise.allSettled([...entriesById.values()].map((entry) => entry.ready))
      for (const entry of entriesById.values()) entry.live?.settle()
      await writer.idle()
      for (const entry of [...entriesById.values()]) drop(entry)
    },
  }
  return shelf
}

function assertWhole({ id, damage, handles }: ShelfEntry): void {
  if (damage !== null && handles > 0) throw describeDamage(id, damage)
}
