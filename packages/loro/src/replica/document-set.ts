import { type EntryChange, type JoinOutcome, type ReplicaReport, sameBytes } from "@dunlin/core"

import { LoroReplicaError } from "../loro-replica-error.ts"
import { type ApplySource, describeDevice } from "./change-source.ts"
import { describeDifference, type DocumentAudit } from "./document-audit.ts"
import { type DocumentDelta, encodeDelta, encodeSummary } from "./document-delta.ts"
import { createDocumentNews, type DocumentNews, type DocumentNewsOptions } from "./document-news.ts"
import {
  type Holding,
  isWitness,
  mayMend,
  mendDocument,
  type OpenDamage,
  announcedFor,
  announcedHash,
} from "./document-recovery.ts"
import type { DocumentShelf, ShelfEntry } from "./document-shelf-api.ts"
import { TOMBSTONE_HASH } from "./document-state.ts"
import type { LiveDocument, LocalChange } from "./live-document.ts"
import { type DocumentLimits, readSpan, refuseUpdate } from "./update-check.ts"
import { covers, EMPTY_VERSION, type Version } from "./version.ts"

export interface DocumentSetOptions extends DocumentNewsOptions {
  readonly shelf: DocumentShelf
  readonly limits: DocumentLimits
  /** Public key of this device, 64 hex digits. */
  readonly device: string
  report(report: ReplicaReport): void
}

export interface Applied {
  readonly outcome: JoinOutcome
  /** Resolves when the outcome is durable. */
  readonly durable: Promise<unknown>
  /** The same change, encoded for others; null when nothing changed, or when it came from them. */
  readonly delta: Uint8Array | null
}

/** The instance in memory is unusable: the document must be read again, without the delta that broke it. */
export interface Trapped {
  readonly trapped: string
}

/** The documents of one store as a join-semilattice: joined and deleted, whether or not they are open. */
export interface DocumentSet extends Pick<DocumentNews, "announce" | "heard" | "subscribe"> {
  /** Synchronous, so that `before` and `stateHash` of the outcome name neighbouring states. The caller pins the entry. */
  apply(entry: ShelfEntry, delta: DocumentDelta, source: ApplySource): Applied | Trapped
  /** Opens the document to apply the delta, and reads it again after a trap. */
  integrate(id: string, delta: DocumentDelta, source: ApplySource): Promise<Applied>
  /** Opens a damaged document if this device shows that nothing more is to be had from it. */
  heardOf(entry: ShelfEntry, holding: Holding): void
  /** A local edit of a document on the shelf. */
  local(entry: ShelfEntry, change: LocalChange): void
  /** Resolves when the deletion is stored, also if it already was. */
  remove(entry: ShelfEntry): Promise<void>
  /** What could not be stored before is stored now. The room and the other tabs knew of a failure or of nothing, and are told the state. */
  recovered(entry: ShelfEntry): void
}

/** Updates of one document that wait for missing operations: beyond this no more are taken. */
const MAX_PENDING_BYTES = 1_048_576
const MANY_WAIT = "too many updates wait for others"
const DONE: Promise<void> = Promise.resolve()
const NOTHING = new Uint8Array(0)

export function createDocumentSet(options: DocumentSetOptions): DocumentSet {
  const { shelf } = options
  const news = createDocumentNews(options)

  const apply = (entry: ShelfEntry, delta: DocumentDelta, source: ApplySource): Applied | Trapped => {
    if (entry.phase === "deleted") return applyToDeleted(entry, delta, source)
    const { live } = entry
    if (live === null) return { trapped: "the document is not open" }
    if (delta.type === "tombstone") return bury(entry, live, source)
    live.settle()
    // Local edits broke the instance, and it is being read again: the delta will be requested anew.
    if (entry.phase !== "live") return notTaken({ type: "incomplete" })
    if (entry.damage !== null && !mayMend(delta, source)) return notTaken({ type: "incomplete" })
    const { hash, version } = live.state()
    if (delta.type === "push" && delta.audit !== undefined) compareContents(entry, hash, delta.audit, source)
    const bytes = delta.type === "snapshot" ? delta.snapshot : delta.update
    if (bytes.length === 0) return unchanged(entry, live, delta, source)
    if (delta.type === "snapshot" && hash !== null && source.batch === undefined) {
      // It was made for a peer that holds nothing, but this one holds something by now.
      return covers(version, delta.version)
        ? unchanged(entry, live, delta, source)
        : notTaken({ type: "incomplete" })
    }
    // What another tab of this device hands over, it edited or checked itself: the limits are for input from outside.
    if (source.origin === "tab") return importInto(entry, live, delta, bytes, source)
    const refusal = refuseUpdate(bytes, {
      ...options.limits,
      held: version,
      snapshot: delta.type === "snapshot" ? "allowed" : "refused",
    })
    if (refusal !== null) return refused(entry, refusal, source)
    // When it is asked for again by the version held here, it comes with its history.
    if (bytes.length + live.pendingBytesAtMost() > MAX_PENDING_BYTES && hasGap(version, bytes)) {
      return notTaken({ type: "incomplete" })
    }
    return importInto(entry, live, delta, bytes, source)
  }

  /** Compares the author's content before the change with ours in the same state: known only if both sides rested in it. */
  const compareContents = (
    entry: ShelfEntry,
    hash: Uint8Array | null,
    theirs: DocumentAudit,
    source: ApplySource,
  ): void => {
    const ours = entry.audit.of(hash)
    if (ours === null || source.origin !== "remote" || !sameBytes(ours.base, theirs.base)) return
    if (sameBytes(ours.content, theirs.content) || !entry.audit.differs()) return
    options.report({ type: "warning", reason: describeDifference(entry.id, source.sender) })
  }

  const importInto = (
    entry: ShelfEntry,
    live: LiveDocument,
    delta: DocumentDelta,
    bytes: Uint8Array,
    source: ApplySource,
  ): Applied | Trapped => {
    const limit = source.origin === "tab" ? Number.POSITIVE_INFINITY : options.limits.maxOperations
    const result = live.integrate(bytes, limit)
    if (result.type === "trapped") {
      options.report({
        type: "quarantined",
        key: entry.id,
        reason: `the document is read again without the update of ${source.sender}: ${result.reason}`,
      })
      return { trapped: result.reason }
    }
    if (result.type === "refused") return refused(entry, result.reason, source)
    if (result.collision) {
      options.report({
        type: "warning",
        reason: `another device edits "${entry.id}" under this document's Loro peer id: a new one was taken`,
      })
    }
    if (!result.changed || result.update === null) {
      if (!result.pending) return unchanged(entry, live, delta, source)
      // Only the import shows that an update waits for operations of others, and only a new instance forgets such an update.
      const limit = 2 * MAX_PENDING_BYTES
      if (source.origin === "remote" && live.pendingBytesAtMost() > limit && live.pendingBytes() > limit) {
        options.report({
          type: "quarantined",
          key: entry.id,
          reason: `from ${source.sender}: ${MANY_WAIT}`,
        })
        return { trapped: MANY_WAIT }
      }
      // Stays in memory until its history comes, and is then stored with it. Until then nothing is acknowledged.
      return notTaken({ type: "incomplete" })
    }
    const { hash, version } = live.state()
    if (hash === null) return unchanged(entry, live, delta, source)
    if (entry.damage !== null && "version" in delta && !covers(version, delta.version)) {
      return notTaken({ type: "incomplete" })
    }
    const before = announcedFor(entry.damage, result.before.hash)
    const durable = keep(entry, live, delta, result.update, result.before.version, source)
    const senderLacks = lackedBySender(live, delta)
    const outcome = { type: "joined", changed: true, before, stateHash: hash, senderLacks } as const
    entry.audit.touch()
    return changed(entry, outcome, durable, { type: "push", update: result.update }, source)
  }

  const changed = (
    { id }: ShelfEntry,
    outcome: JoinOutcome & { readonly type: "joined" },
    durable: Promise<unknown>,
    brought: DocumentDelta,
    { origin }: ApplySource,
  ): Applied => {
    const { before, stateHash } = outcome
    const encode = (): Uint8Array => encodeDelta(brought)
    if (origin === "remote") news.postWhenDurable(durable, { key: id, before, stateHash }, encode)
    news.emit({ type: "changed", id, origin })
    return { outcome, durable, delta: origin === "remote" ? null : encode() }
  }

  const keep = (
    entry: ShelfEntry,
    live: LiveDocument,
    delta: DocumentDelta,
    update: Uint8Array,
    before: Version,
    source: ApplySource,
  ): Promise<void> => {
    if (source.store === "kept-elsewhere") return DONE
    if (entry.damage !== null)
      return mendDocument(entry, entry.damage, live, { source, report: options.report })
    if (delta.type === "snapshot" && before.size === 0)
      return entry.journal.adoptSnapshot(live, delta.snapshot, source.batch)
    return entry.journal.append(live, update, before, source.batch)
  }

  /**
   * Stores what another tab left to be stored, even if it is known here: it may be known only in memory. It is stored as
   * Loro holds it, not as it came: of operations that it already knows, Loro checks only the ids.
   */
  const keepKnown = (
    entry: ShelfEntry,
    live: LiveDocument,
    delta: DocumentDelta,
    source: ApplySource,
  ): Promise<void> => {
    if (source.batch === undefined || delta.type === "tombstone") return DONE
    const bytes = delta.type === "snapshot" ? delta.snapshot : delta.update
    const { version } = live.state()
    const since = new Map([...version, ...readSpan(bytes).start])
    return entry.journal.append(live, live.updateSince(since), since, source.batch)
  }

  const unchanged = (
    entry: ShelfEntry,
    live: LiveDocument,
    delta: DocumentDelta,
    source: ApplySource,
  ): Applied => {
    const { hash, version } = live.state()
    const lacks = lackedBySender(live, delta)
    if (hash === null) return notTaken({ type: "refused", reason: "a document without operations" })
    // The sender holds more than this delta brought: the delta was made for another base.
    if ("version" in delta && !covers(version, delta.version)) return notTaken({ type: "incomplete" })
    const { damage } = entry
    const before = announcedFor(damage, hash)
    const outcome = { type: "joined", before, senderLacks: lacks } as const
    if (damage !== null && bringsWitness(damage, version, delta, source)) {
      const durable = mendDocument(entry, damage, live, { source, report: options.report })
      // The content is the same, but the document can be opened now: other tabs read it from the store.
      const brought = { type: "update", version, update: NOTHING } as const
      return changed(entry, { ...outcome, changed: true, stateHash: hash }, durable, brought, source)
    }
    const durable = damage === null ? keepKnown(entry, live, delta, source) : DONE
    return { outcome: { ...outcome, changed: false, stateHash: before ?? hash }, durable, delta: null }
  }

  /** What the application or another tab of this device brings to mend the document does so in any case. */
  const bringsWitness = (
    damage: OpenDamage,
    readable: Version,
    delta: DocumentDelta,
    { origin, device }: ApplySource,
  ): boolean => {
    if (origin !== "remote") return true
    if (device === undefined || !("version" in delta)) return false
    return isWitness(damage, readable, { version: delta.version, device }, options.device)
  }

  const refused = (entry: ShelfEntry, reason: string, source: ApplySource): Applied => {
    options.report({ type: "quarantined", key: entry.id, reason: `from ${source.sender}: ${reason}` })
    return notTaken({ type: "refused", reason })
  }

  const applyToDeleted = (entry: ShelfEntry, delta: DocumentDelta, source: ApplySource): Applied => {
    const senderLacks =
      delta.type === "tombstone"
        ? null
        : encodeSummary({ type: "version", version: "version" in delta ? delta.version : EMPTY_VERSION })
    return {
      outcome: {
        type: "joined",
        changed: false,
        before: TOMBSTONE_HASH,
        stateHash: TOMBSTONE_HASH,
        senderLacks,
      },
      // It is deleted in memory but perhaps not yet on disk: the deletion is acknowledged only once it is.
      durable: source.store === "kept-elsewhere" ? DONE : entry.journal.bury(source.batch),
      delta: null,
    }
  }

  const bury = (entry: ShelfEntry, live: LiveDocument, source: ApplySource): Applied => {
    live.settle()
    const before = announcedHash(entry)
    shelf.kill(entry)
    const durable = source.store === "kept-elsewhere" ? DONE : entry.journal.bury(source.batch)
    const tombstone = encodeDelta({ type: "tombstone" })
    if (source.origin === "remote")
      news.postWhenDurable(durable, { key: entry.id, before, stateHash: TOMBSTONE_HASH }, () => tombstone)
    news.emit({ type: "deleted", id: entry.id, origin: source.origin })
    return {
      outcome: { type: "joined", changed: true, before, stateHash: TOMBSTONE_HASH, senderLacks: null },
      durable,
      delta: tombstone,
    }
  }

  const set: DocumentSet = {
    apply,
    async integrate(id, delta, source) {
      const entry = await shelf.takeOne(id)
      try {
        const result = apply(entry, delta, source)
        if (!("trapped" in result)) return result
        await shelf.reload(entry)
        // The delta that broke the instance is not tried on the new one.
        return notTaken({ type: "refused", reason: result.trapped })
      } finally {
        shelf.release(entry)
      }
    },
    heardOf(entry, { version, device }) {
      const { live } = entry
      if (entry.damage === null || live === null) return
      const delta = { type: "update", version, update: NOTHING } as const
      const source = { origin: "remote", sender: describeDevice(device), device, store: "write" } as const
      const { outcome, durable } = unchanged(entry, live, delta, source)
      // The journal reports a failure and tries again.
      durable.catch(() => undefined)
      if (outcome.type !== "joined" || !outcome.changed) return
      options.changed({ key: entry.id, before: outcome.before, stateHash: outcome.stateHash })
    },
    local(entry, { before, after, update }) {
      if (entry.live === null || after.hash === null) return
      const audit = entry.audit.of(before.hash)
      const delta = encodeDelta({ type: "push", update, ...(audit !== null && { audit }) })
      const change: EntryChange = { key: entry.id, before: before.hash, stateHash: after.hash }
      entry.audit.touch()
      // The room is told before it is durable. A fresh Loro peer id at every start makes that safe: a crash here
      // loses nothing that a peer holds, and no operation id is ever used twice.
      news.announce(entry.journal.append(entry.live, update, before.version), change, delta)
      news.emit({ type: "changed", id: entry.id, origin: "local" })
    },
    async remove(entry) {
      const before = entry.phase === "live" ? announcedHash(entry) : TOMBSTONE_HASH
      const durable =
        entry.phase === "live" && entry.live !== null
          ? bury(entry, entry.live, { origin: "local", sender: "here", store: "write" }).durable
          : entry.journal.bury()
      try {
        await durable
      } catch (cause) {
        throw new LoroReplicaError(
          "storage-failed",
          `the deletion of document "${entry.id}" could not be stored and is tried again: free some space; delete it again to wait for that`,
          { cause },
        )
      }
      if (before === TOMBSTONE_HASH) return
      const change: EntryChange = { key: entry.id, before, stateHash: TOMBSTONE_HASH }
      news.announce(durable, change, encodeDelta({ type: "tombstone" }))
    },
    recovered(entry) {
      const state = entry.phase === "live" ? entry.live?.state() : undefined
      const stateHash = entry.phase === "deleted" ? TOMBSTONE_HASH : (state?.hash ?? null)
      if (stateHash === null) return
      const change: EntryChange = { key: entry.id, before: stateHash, stateHash }
      options.changed(change)
      options.post(
        change,
        state === undefined
          ? encodeDelta({ type: "tombstone" })
          : // An empty update, whose version shows the other tabs what they lack: they read that from the store.
            encodeDelta({ type: "update", version: state.version, update: new Uint8Array(0) }),
      )
    },
    announce: news.announce,
    heard: news.heard,
    subscribe: news.subscribe,
  }
  return set
}

/** Nothing is stored: what the delta came with, such as an inbox entry, stays where it is. */
function notTaken(outcome: JoinOutcome): Applied {
  return { outcome, durable: DONE, delta: null }
}

function lackedBySender(live: LiveDocument, delta: DocumentDelta): Uint8Array | null {
  if (!("version" in delta) || covers(delta.version, live.state().version)) return null
  return encodeSummary({ type: "version", version: delta.version })
}

/** Whether operations of the same author are missing between those held and those of an update. */
function hasGap(version: Version, bytes: Uint8Array): boolean {
  for (const [peer, start] of readSpan(bytes).start) if ((version.get(peer) ?? 0) < start) return true
  return false
}
