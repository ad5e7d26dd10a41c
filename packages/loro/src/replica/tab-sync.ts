import { DecodeError, type EntryChange, type ReplicaReport } from "@dunlin/core"

import type { OpenDocumentStore } from "../store/document-store.ts"
import type { StoreWriter } from "../store/store-writer.ts"
import type { DocumentSet } from "./document-set.ts"
import { parseDelta } from "./document-set.ts"
import { sameBytes } from "./document-state.ts"
import type { DocumentShelf, ShelfEntry } from "./document-shelf.ts"
import { decodeTabMessage, encodeTabMessage, type TabMessage } from "./tab-message.ts"

export interface TabSyncOptions {
  readonly store: OpenDocumentStore
  readonly writer: StoreWriter
  readonly shelf: DocumentShelf
  readonly set: DocumentSet
  changed(change: EntryChange): void
  report(report: ReplicaReport): void
}

/** Keeps the openers of one store equal, and makes one of them its writer. */
export interface TabSync {
  /** Whether rows and logs are written here; else edits go to the inbox. */
  isHolder(): boolean
  post(change: EntryChange, delta: Uint8Array): void
  postInbox(id: string, key: number, delta: Uint8Array): void
  /** Begins to listen; resolves when what was left in the inbox is taken over, if that is ours to do. */
  start(): Promise<void>
  /** Hears nothing any more, and resolves when what was heard is worked off. What is posted still goes out. */
  quiet(): Promise<void>
  stop(): void
}

const INBOX_PAGE = 64

export function createTabSync(
  options: Omit<TabSyncOptions, "shelf" | "set"> & {
    readonly parts: () => Pick<TabSyncOptions, "shelf" | "set">
  },
): TabSync {
  const { store, writer } = options
  const { lease } = store
  let holder = lease.held.get()
  let stopped = false
  let takingOver: Promise<void> | null = null
  const stops: (() => void)[] = []
  // One message after another: two changes of one document must not overtake each other.
  let queue: Promise<void> = Promise.resolve()

  const send = (message: TabMessage): void => {
    if (!stopped) lease.post(encodeTabMessage(message))
  }

  const receive = async (bytes: Uint8Array): Promise<void> => {
    const message = decodeTabMessage(bytes)
    if (message.type === "inbox") {
      if (holder) await takeIn(message.id, message.key, message.delta)
      return
    }
    if (!holder) await follow(message)
  }

  /**
   * Moves an inbox entry into the log, in one transaction. Resolves once it is in memory; `durable` when it is
   * stored, which nobody needs to wait for: what is typed fast must not pile up, and the entry stays until then.
   */
  const takeIn = async (
    id: string,
    key: number,
    bytes: Uint8Array,
  ): Promise<{ readonly durable: Promise<unknown> }> => {
    const delta = parseDelta(bytes)
    const batch = { inboxDeletes: [key] }
    if (delta.type === "invalid") {
      options.report({
        type: "quarantined",
        key: id,
        reason: `an edit of another tab cannot be read: ${delta.reason}`,
      })
      return { durable: writer.write(batch) }
    }
    const source = { origin: "tab", sender: "another tab", batch, store: "write" } as const
    const result = await options.parts().set.integrate(id, delta, source)
    const { outcome } = result
    // Awaited with others later, or not at all: until then a failure is not an unhandled one.
    result.durable.catch(() => undefined)
    if (outcome.type === "joined" && outcome.changed && result.delta !== null) {
      const { before, stateHash } = outcome
      const bytesNow = result.delta
      options.changed({ key: id, before, stateHash, delta: bytesNow })
      result.durable.then(
        () => send({ type: "changed", id, before, stateHash, delta: bytesNow }),
        // The journal tells of it and tries again.
        () => undefined,
      )
    }
    return { durable: result.durable }
  }

  /** The holder changed a document: ours follows, and our room hears of it. */
  const follow = async (message: TabMessage & { readonly type: "changed" }): Promise<void> => {
    const { shelf, set } = options.parts()
    const entry = shelf.get(message.id)
    const delta = parseDelta(message.delta)
    if (entry === undefined || delta.type === "invalid") {
      options.changed({ key: message.id, before: message.before, stateHash: message.stateHash })
      return
    }
    const source = { origin: "tab", sender: "another tab", store: "kept-elsewhere" } as const
    const { outcome } = await set.integrate(message.id, delta, source)
    if (outcome.type === "incomplete") await catchUp(entry)
    else if (outcome.type === "joined" && outcome.changed) {
      options.changed({ key: message.id, before: outcome.before, stateHash: outcome.stateHash })
    }
  }

  /** A message was missed: the store has it all. */
  const catchUp = async (entry: ShelfEntry): Promise<void> => {
    const before = entry.live?.state().hash ?? null
    await options.parts().shelf.refresh(entry)
    const stateHash = entry.live?.state().hash ?? null
    if (!sameBytes(before, stateHash)) options.changed({ key: entry.id, before, stateHash })
  }

  const takeOver = async (): Promise<void> => {
    const { shelf } = options.parts()
    writer.follow(await store.lastSequence())
    // The holder before us wrote rows and logs that our journals know nothing of. Until they do, edits go to the inbox.
    const entries = [...shelf.entries()]
    for (const entry of entries) {
      await entry.ready.catch(() => undefined)
      if (entry.phase === "live") await catchUp(entry)
    }
    holder = true
    await writer.idle()
    await drainInbox()
    for (const entry of entries) await shelf.keepAll(entry)
  }

  const drainInbox = async (): Promise<void> => {
    let after = 0
    for (;;) {
      const page = await store.inbox(after, INBOX_PAGE)
      const taken = []
      for (const { id, key, bytes } of page) taken.push(await takeIn(id, key, bytes))
      await Promise.all(taken.map((one) => one.durable))
      after = page.at(-1)?.key ?? after
      if (page.length < INBOX_PAGE || stopped) return
    }
  }

  const enqueue = (work: () => Promise<void>): Promise<void> => {
    queue = queue
      .then(() => (stopped ? undefined : work()))
      .catch((cause: unknown) => {
        if (stopped) return
        const reason =
          cause instanceof DecodeError
            ? "a message of another tab cannot be read"
            : "another tab's edits could not be taken over"
        options.report({ type: "warning", reason, cause })
      })
    return queue
  }

  const whenHeld = (): Promise<void> => {
    takingOver ??= enqueue(takeOver)
    return takingOver
  }

  return {
    isHolder: () => holder,
    post({ key, before, stateHash }, delta) {
      if (holder && stateHash !== null) send({ type: "changed", id: key, before, stateHash, delta })
    },
    postInbox(id, key, delta) {
      // Between the takeover of the lease and of the inbox nobody else would take our own entry.
      if (holder) void enqueue(async () => void (await takeIn(id, key, delta)))
      else send({ type: "inbox", key, id, delta })
    },
    start() {
      stops.push(
        lease.subscribe((bytes) => void enqueue(() => receive(bytes))),
        lease.held.subscribe((held) => {
          if (held) void whenHeld()
        }),
      )
      if (!holder) return Promise.resolve()
      return enqueue(drainInbox)
    },
    quiet() {
      for (const stop of stops.splice(0)) stop()
      return queue
    },
    stop() {
      stopped = true
      for (const stop of stops.splice(0)) stop()
    },
  }
}
