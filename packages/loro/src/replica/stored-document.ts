import type { Random } from "@dunlin/core"
import type { LoroDoc } from "loro-crdt"

import { describeLoroFailure, LoroReplicaError } from "../loro-replica-error.ts"
import type { StoredDocument } from "../store/document-store.ts"
import { parseDelta } from "./document-delta.ts"
import { createLoroDoc, freeQuietly } from "./live-document.ts"

/** An edit of another tab, not in the log yet. */
interface InboxEdit {
  readonly key: number
  readonly delta: ReturnType<typeof parseDelta>
}

/** A document of the snapshot and the log. Throws `LoroReplicaError` "document-corrupt". */
export function openStored(id: string, stored: StoredDocument, random: Random): LoroDoc {
  const doc = createLoroDoc(random)
  try {
    // One by one: Loro's `importBatch` takes the square of the time where a log adds much to one place.
    for (const blob of storedBlobs(stored)) doc.import(blob)
    return doc
  } catch (cause) {
    freeQuietly(doc)
    throw new LoroReplicaError(
      "document-corrupt",
      `document "${id}" cannot be read from the store: ${describeLoroFailure(cause).reason}; another device can send it again once it is removed here`,
      { cause },
    )
  }
}

/**
 * The document with the edits taken in. Those that Loro cannot take stay in the inbox, and whoever moves them tells of it; one
 * that breaks the instance is left out of another that `open` makes.
 */
export function withInbox(doc: LoroDoc, inbox: readonly InboxEdit[], open: () => LoroDoc): LoroDoc {
  for (const { key, delta } of inbox) {
    try {
      if (delta.type === "push") doc.import(delta.update)
      if (delta.type === "snapshot") doc.import(delta.snapshot)
    } catch (error) {
      if (!describeLoroFailure(error).trap) continue
      freeQuietly(doc)
      const others = inbox.filter((other) => other.key !== key)
      return withInbox(open(), others, open)
    }
  }
  return doc
}

export function inboxOf(stored: StoredDocument): readonly InboxEdit[] {
  return stored.inbox.map(({ key, bytes }) => ({ key, delta: parseDelta(bytes) }))
}

/** What to import, in order. */
export function storedBlobs({ snapshot, log }: StoredDocument): readonly Uint8Array[] {
  const updates = log.map((item) => item.bytes)
  return snapshot === null ? updates : [snapshot, ...updates]
}
