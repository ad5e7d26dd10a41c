import { type Clock, DecodeError, type EntryChange, type ReplicaReport } from "@dunlin/core"

import { LoroReplicaError } from "../loro-replica-error.ts"
import type { InboxEntry, OpenDocumentStore } from "../store/document-store.ts"
import type { StoreWriter } from "../store/store-writer.ts"
import { parseDelta } from "./document-delta.ts"
import { announcedHash } from "./document-recovery.ts"
import type { DocumentSet } from "./document-set.ts"
import { sameHash } from "./document-state.ts"
import type { DocumentShelf, ShelfEntry } from "./document-shelf-api.ts"
import { hashOfRow } from "./row-hash.ts"
import { decodeTabMessage, encodeTabMessage, type TabMessage } from "./tab-message.ts"

export interface TabSyncOptions {
  readonly store: OpenDocumentStore
  readonly writer: StoreWriter
  readonly shelf: DocumentShelf
  readonly set: DocumentSet
  readonly clock: Clock
  changed(change: EntryChange): void
  report(report: ReplicaReport): void
}

/** Keeps the openers of one store in step, and makes one of them its writer. */
export interface TabSync {
  /** Whether this opener writes rows and logs; if not, its edits go to the inbox. */
  isHolder(): boolean
  post(change: EntryChange, delta: Uint8Array): void
  postInbox(id: string, key: number, delta: Uint8Array): void
  /** Begins to listen. For the lease holder, resolves when what was left in the inbox is taken over. */
  start(): Promise<void>
  /** Stops listening, and resolves when all that was heard is processed. Posts still go out. */
  quiet(): Promise<void>
  stop(): void
}

const INBOX_PAGE = 64
const ROW_PAGE = 1_000
const RETRY_FROM_MS = 1_000
const RETRY_UP_TO_MS = 30_000
/** A document that cannot be read again after this many tries is given up, so that the others get a writer. */
const TAKEOVER_PATIENCE = 5
/** How often the inbox is looked at: a tab may die after it has written an entry and before it announces it. */
const LOOK_EVERY_MS = 20_000
/** An entry is reported once its base is missing at this many looks: the write of the base may have failed and be tried again. */
const LOOKS_BEFORE_REPORT = 3

/** An entry that does not join is not stored, and stays in the inbox. */
interface TakenIn {
  readonly durable: Promise<unknown>
  readonly incomplete: boolean
}

export function createTabSync(
  options: Omit<TabSyncOptions, "shelf" | "set"> & {
    readonly parts: () => Pick<TabSyncOptions, "shelf" | "set">
  },
): TabSync {
  const { store, writer, clock } = options
  const { lease } = store
  let holder = lease.held.get()
  /** The room has read every row up to this sequence itself. Of later rows only their writer told it, while it was alive. */
  let unheardAbove = holder ? null : writer.lastSequence()
  let stopped = false
  let takingOver = false
  let cancelRetry: (() => void) | null = null
  let tries = 0
  let cancelLook: (() => void) | null = null
  /** Consecutive looks after which entries still lacked their base. */
  let fruitlessLooks = 0
  let lookDue = 0
  const looksByIncompleteKey = new Map<number, number>()
  /** A tab of another version sends something unreadable with every key press: one report is enough. */
  let hasReportedUnreadable = false
  /** Inbox entries that cannot be taken in: they stay, for a newer version of the application or a mended document. */
  const leftInInbox = new Set<number>()
  const stops: (() => void)[] = []
  // One message after another: two changes of one document must not overtake each other.
  let queue: Promise<void> = Promise.resolve()

  const send = (message: TabMessage): void => {
    if (!stopped) lease.post(encodeTabMessage(message))
  }

  const receive = async (bytes: Uint8Array): Promise<void> => {
    const message = decodeTabMessage(bytes)
    if (message.type === "inbox") {
      if (holder) await takeInHeard(message.id, message.key, message.delta)
      return
    }
    if (!holder) await follow(message)
  }

  /** If the base of an entry is not here, it may be in the inbox: its tab may have died before it could announce it. */
  const takeInHeard = async (id: string, key: number, delta: Uint8Array): Promise<void> => {
    const { incomplete } = await takeIn(id, key, delta)
    if (incomplete) lookAfter(Math.min(LOOK_EVERY_MS, RETRY_FROM_MS * 2 ** fruitlessLooks))
  }

  /**
   * Moves an inbox entry into the log, in one transaction: whatever happens, it is in one of the two. Resolves once it
   * is in memory, and `durable` when it is stored. Nobody needs to wait for that, so that fast typing does not pile up.
   */
  const takeIn = async (id: string, key: number, bytes: Uint8Array): Promise<TakenIn> => {
    const delta = parseDelta(bytes)
    if (delta.type === "invalid") return leave(id, key, delta.reason)
    const source = {
      origin: "tab",
      sender: "another tab",
      batch: { inboxDeletes: [key] },
      store: "write",
    } as const
    const result = await options.parts().set.integrate(id, delta, source)
    const { outcome } = result
    if (outcome.type === "refused") return leave(id, key, outcome.reason)
    // Awaited with others later, or not at all.
    result.durable.catch(() => drainLater())
    const { durable } = result
    if (outcome.type !== "joined") return { durable, incomplete: true }
    looksByIncompleteKey.delete(key)
    const { before, stateHash } = outcome
    if (!outcome.changed || result.delta === null) {
      // The document was opened together with its inbox: the room may not know of this edit.
      options.changed({ key: id, before, stateHash })
      return { durable, incomplete: false }
    }
    const delivered = result.delta
    options.changed({ key: id, before, stateHash, delta: delivered })
    durable.then(
      () => send({ type: "changed", id, before, stateHash, delta: delivered }),
      // The journal reports the failure and tries again.
      () => undefined,
    )
    return { durable, incomplete: false }
  }

  /** A durable edit is never thrown away merely because it makes no sense here and now. */
  const leave = (id: string, key: number, reason: string): TakenIn => {
    if (!leftInInbox.has(key)) reportLeft(id, key, reason)
    leftInInbox.add(key)
    return { durable: Promise.resolve(), incomplete: false }
  }

  const reportLeft = (id: string, key: number, reason: string): void =>
    options.report({
      type: "quarantined",
      key: id,
      reason: `an edit of another tab cannot be applied, and stays in the store as inbox entry ${key}: ${reason}`,
    })

  /** The holder changed a document: ours follows, and our room is told. */
  const follow = async (message: TabMessage & { readonly type: "changed" }): Promise<void> => {
    const { shelf, set } = options.parts()
    const entry = shelf.get(message.id)
    const delta = parseDelta(message.delta)
    if (entry === undefined || delta.type === "invalid") {
      set.heard({ key: message.id, before: message.before, stateHash: message.stateHash })
      return
    }
    const source = { origin: "tab", sender: "another tab", store: "kept-elsewhere" } as const
    const { outcome } = await set.integrate(message.id, delta, source)
    if (outcome.type === "incomplete") await catchUp(entry)
    else if (outcome.type === "joined" && outcome.changed) {
      options.changed({ key: message.id, before: outcome.before, stateHash: outcome.stateHash })
    }
  }

  /** A message was missed, but the store has it all. */
  const catchUp = async (entry: ShelfEntry): Promise<void> => {
    const { shelf, set } = options.parts()
    const before = announcedHash(entry)
    await shelf.refresh(entry)
    const stateHash = announcedHash(entry)
    if (!sameHash(before, stateHash)) set.heard({ key: entry.id, before, stateHash })
  }

  const takeOver = async (): Promise<void> => {
    const { shelf } = options.parts()
    const entries = [...shelf.entries()]
    if (!holder) {
      writer.follow(await store.lastSequence())
      // The previous holder wrote rows and logs that our journals know nothing of. Until they do, edits go to the inbox.
      for (const entry of entries) {
        await entry.ready.catch(() => undefined)
        if (entry.phase === "live" || entry.phase === "deleted") await catchUpOrGiveUp(entry)
      }
      holder = true
    }
    await writer.idle()
    await drainInbox()
    for (const entry of entries) await shelf.keepAll(entry)
    await reportUnheard()
  }

  /** A tab that closed while it stored its last edits told nobody. Reports the state of each document it may have written. */
  const reportUnheard = async (): Promise<void> => {
    while (unheardAbove !== null) {
      const rows = await store.changes(unheardAbove, ROW_PAGE)
      const { shelf } = options.parts()
      for (const row of rows) {
        const entry = shelf.get(row.id)
        const held = entry === undefined ? null : announcedHash(entry)
        const stateHash = held ?? (await hashOfRow(row, { shelf, report: options.report }))?.stateHash ?? null
        if (stateHash !== null) options.changed({ key: row.id, before: stateHash, stateHash })
      }
      const last = rows.at(-1)
      unheardAbove = last === undefined || rows.length < ROW_PAGE ? null : last.sequence
    }
  }

  const catchUpOrGiveUp = async (entry: ShelfEntry): Promise<void> => {
    try {
      await catchUp(entry)
    } catch (error) {
      if (tries < TAKEOVER_PATIENCE) throw error
      // Writing on from here would damage its log. Whoever opens it next reads it anew, or is told why that fails.
      await options
        .parts()
        .shelf.reload(entry)
        .catch(() => undefined)
    }
  }

  const drainInbox = async (): Promise<void> => {
    const failures: unknown[] = []
    const incomplete: InboxEntry[] = []
    let after = 0
    for (;;) {
      const page = await store.inbox(after, INBOX_PAGE)
      const waiting = page.filter((entry) => !leftInInbox.has(entry.key))
      const taken: Promise<unknown>[] = []
      for (const entry of waiting) {
        try {
          const result = await takeInStored(entry)
          taken.push(result.durable)
          if (result.incomplete) incomplete.push(entry)
        } catch (error) {
          failures.push(error)
        }
      }
      for (const result of await Promise.allSettled(taken)) {
        if (result.status === "rejected") failures.push(result.reason)
      }
      after = page.at(-1)?.key ?? after
      if (page.length < INBOX_PAGE || stopped) break
    }
    // One bad entry does not stop the others, but what failed is tried again.
    if (failures.length > 0) throw failures[0]
    for (const entry of incomplete) countLook(entry)
    fruitlessLooks = incomplete.length > 0 ? fruitlessLooks + 1 : 0
    lookAfter(LOOK_EVERY_MS)
  }

  /** An incomplete entry is tried again at every look: its base may also come from a peer. */
  const countLook = ({ id, key }: InboxEntry): void => {
    const looks = (looksByIncompleteKey.get(key) ?? 0) + 1
    looksByIncompleteKey.set(key, looks)
    if (looks === LOOKS_BEFORE_REPORT) reportLeft(id, key, "it builds on edits that are not here")
  }

  /** Of two scheduled looks, the earlier one is enough. */
  const lookAfter = (delayMs: number): void => {
    const due = clock.monotonic() + delayMs
    if (stopped || (cancelLook !== null && due >= lookDue)) return
    cancelLook?.()
    lookDue = due
    cancelLook = clock.after(delayMs, () => {
      cancelLook = null
      void persist(drainInbox)
    })
  }

  const takeInStored = async ({ id, key, bytes }: InboxEntry): Promise<TakenIn> => {
    try {
      return await takeIn(id, key, bytes)
    } catch (error) {
      // It will be just as unreadable in half a minute.
      if (error instanceof LoroReplicaError && error.code === "document-corrupt") {
        return leave(id, key, error.message)
      }
      throw error
    }
  }

  /** Does the work, and again later for as long as it fails. */
  const persist = (work: () => Promise<void>): Promise<void> =>
    enqueue(async () => {
      try {
        await work()
        tries = 0
      } catch (error) {
        if (stopped) return
        const wait = Math.min(RETRY_UP_TO_MS, RETRY_FROM_MS * 2 ** tries)
        tries += 1
        cancelRetry ??= clock.after(wait, () => {
          cancelRetry = null
          void persist(work)
        })
        throw error
      }
    })

  const drainLater = (): void => {
    if (stopped || !holder) return
    cancelRetry ??= clock.after(RETRY_FROM_MS, () => {
      cancelRetry = null
      void persist(takeOver)
    })
  }

  const enqueue = (work: () => Promise<void>): Promise<void> => {
    queue = queue
      .then(() => (stopped ? undefined : work()))
      .catch((cause: unknown) => {
        const isUnreadable = cause instanceof DecodeError
        if (stopped || (isUnreadable && hasReportedUnreadable)) return
        hasReportedUnreadable ||= isUnreadable
        const reason = isUnreadable
          ? "a message of another tab cannot be read"
          : "another tab's edits could not be taken over"
        options.report({ type: "warning", reason, cause })
      })
    return queue
  }

  const cancelTimers = (): void => {
    cancelRetry?.()
    cancelLook?.()
  }

  const whenHeld = (): void => {
    if (takingOver) return
    takingOver = true
    void persist(takeOver)
  }

  return {
    isHolder: () => holder,
    post({ key, before, stateHash }, delta) {
      if (holder && stateHash !== null) send({ type: "changed", id: key, before, stateHash, delta })
    },
    postInbox(id, key, delta) {
      // An entry of ours from before the takeover that became durable only now: nobody else would take it.
      if (holder) void enqueue(() => takeInHeard(id, key, delta))
      else send({ type: "inbox", key, id, delta })
    },
    start() {
      stops.push(
        lease.subscribe((bytes) => void enqueue(() => receive(bytes))),
        lease.held.subscribe((held) => {
          if (held) whenHeld()
        }),
      )
      return holder ? persist(takeOver) : Promise.resolve()
    },
    quiet() {
      for (const stop of stops.splice(0)) stop()
      cancelTimers()
      return queue
    },
    stop() {
      stopped = true
      cancelTimers()
      for (const stop of stops.splice(0)) stop()
    },
  }
}
