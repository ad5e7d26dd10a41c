import { type EntryChange, sameBytes } from "@dunlin/core"

import type { ChangeOrigin } from "./change-source.ts"
import { TOMBSTONE_HASH } from "./document-state.ts"

/** Changes to the set of documents, reported once they are in memory. */
export type DocumentsEvent =
  | { readonly type: "changed"; readonly id: string; readonly origin: ChangeOrigin }
  | { readonly type: "deleted"; readonly id: string; readonly origin: ChangeOrigin }

/** Who is told of a change, and when: the room, the other tabs, the application. */
export interface DocumentNews {
  /** Tells the room at once of a change in memory, and the other tabs when it is durable. */
  announce(durable: Promise<unknown>, change: EntryChange, delta: Uint8Array): void
  /**
   * Other tabs store nothing of what they hear. If they heard of a change before it was stored and edited on top of it,
   * their edits would lose their base when this tab is killed.
   */
  postWhenDurable(durable: Promise<unknown>, change: EntryChange, encode: () => Uint8Array): void
  /** Tells the room and the application of a change that another opener made and stored. */
  heard(change: EntryChange): void
  emit(event: DocumentsEvent): void
  subscribe(listener: (event: DocumentsEvent) => void): () => void
}

export interface DocumentNewsOptions {
  /** Tells the room of a change, unless `join` brought it. */
  changed(change: EntryChange): void
  /** Tells the other openers of the store. */
  post(change: EntryChange, delta: Uint8Array): void
}

export function createDocumentNews({ changed, post }: DocumentNewsOptions): DocumentNews {
  const listeners = new Set<(event: DocumentsEvent) => void>()

  const emit = (event: DocumentsEvent): void => {
    for (const listener of [...listeners]) {
      try {
        listener(event)
      } catch (error) {
        // The application's error must not stop a join half way.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  const postWhenDurable: DocumentNews["postWhenDurable"] = (durable, change, encode) => {
    durable.then(
      () => post(change, encode()),
      // The journal reports the failure and tries again.
      () => undefined,
    )
  }

  return {
    announce(durable, change, delta) {
      changed({ ...change, delta })
      postWhenDurable(durable, change, () => delta)
    },
    postWhenDurable,
    heard(change) {
      changed(change)
      const isDeleted = change.stateHash !== null && sameBytes(change.stateHash, TOMBSTONE_HASH)
      emit({ type: isDeleted ? "deleted" : "changed", id: change.key, origin: "tab" })
    },
    emit,
    subscribe(listener) {
      const own = (event: DocumentsEvent): void => listener(event)
      listeners.add(own)
      return () => void listeners.delete(own)
    },
  }
}
