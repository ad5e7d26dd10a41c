import { createState, type ReplicaHost } from "@dunlin/core"

import { createDocumentHistory } from "../history/document-history.ts"
import type { DocumentStatus, LoroDocument } from "../loro-documents.ts"
import { LoroReplicaError } from "../loro-replica-error.ts"
import type { DocumentShelf, ShelfEntry } from "./document-shelf-api.ts"

export interface HandleOptions {
  readonly shelf: DocumentShelf
  /** Pinned once for this handle. */
  readonly entry: ShelfEntry
  readonly host: ReplicaHost
  onClose(handle: LoroDocument): void
}

export function createDocumentHandle(options: HandleOptions): LoroDocument {
  const { shelf, entry, host } = options
  const { id } = entry
  let instance = 1
  let closing: Promise<void> | null = null
  let looking = false
  const status = createState<DocumentStatus>({ phase: "open", instance })

  const watcher = (): void => {
    if (entry.phase === "live") status.set({ phase: "open", instance: ++instance })
    else status.set({ phase: entry.phase === "deleted" ? "deleted" : "closed" })
  }
  entry.watchers.add(watcher)
  entry.handles += 1
  entry.audit.touch()

  const live = (): NonNullable<ShelfEntry["live"]> => {
    if (closing !== null || entry.live === null) {
      throw new LoroReplicaError("closed", `document "${id}" is closed here: open it again`)
    }
    return entry.live
  }

  const assertThere = (): void => {
    if (entry.phase === "deleted") {
      throw new LoroReplicaError("document-deleted", `document "${id}" was deleted: its edits are not kept`)
    }
  }

  const lookSoon = (): void => {
    if (looking) return
    looking = true
    queueMicrotask(() => {
      looking = false
      if (closing === null && entry.phase === "live") entry.live?.touch()
    })
  }

  const readDoc = (): LoroDocument["doc"] => {
    const { doc } = live()
    lookSoon()
    return doc
  }

  const close = async (): Promise<void> => {
    entry.watchers.delete(watcher)
    // Set before everything is stored: `doc` throws from here on, and what shows the document must learn of that first.
    status.set({ phase: "closed" })
    try {
      if (entry.phase === "live" && entry.live !== null) await entry.journal.saved(entry.live)
    } finally {
      entry.handles -= 1
      shelf.release(entry)
      options.onClose(handle)
    }
  }

  const handle: LoroDocument = {
    id,
    get doc() {
      return readDoc()
    },
    status,
    history: createDocumentHistory(readDoc),
    commit() {
      if (entry.phase === "live") live().touch()
    },
    async saved() {
      assertThere()
      await entry.journal.saved(live())
    },
    async synced(wait = {}) {
      assertThere()
      live().settle()
      await host.synced({ keys: [id], ...wait })
    },
    close() {
      closing ??= close()
      return closing
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
  return handle
}
