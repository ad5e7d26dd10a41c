import type { LoroDocuments } from "@dunlin/loro"
import type { BodyCache } from "../data/body-cache.ts"
import type { DocumentList } from "../data/document-list.ts"
import { profile } from "../device/profile.ts"
import { storageHealth } from "../device/storage-health.ts"
import { signText } from "../documents/text-people.ts"
import { attempt } from "../ui/attempt.ts"
import type { LostEdits } from "./lost-edits.ts"
import type { Session } from "./session.ts"

/**
 * Follows the texts of all documents, open or not, so that lists and search show them as they are, and reports when one
 * cannot be stored.
 */
export interface TextWatch {
  changed(id: string, origin: "local" | "remote" | "tab"): void
  attach(session: Session): void
  close(): void
}

const READ_AFTER_MS = 400
/** The store itself tries again every few seconds. */
const ASK_AGAIN_AFTER_MS = 2_000

export function createTextWatch({
  documents,
  bodies,
  lostEdits,
}: {
  readonly documents: DocumentList
  readonly bodies: BodyCache
  readonly lostEdits: Pick<LostEdits, "edited" | "read">
}): TextWatch {
  const waiting = new Set<string>()
  /** Documents edited here whose history does not name the author yet. */
  const unsigned = new Set<string>()
  /** Documents whose next change is the note about their author: nobody wrote in them. */
  const noted = new Set<string>()
  let session: Session | null = null
  let timer: ReturnType<typeof setTimeout> | null = null

  /** Resolves to whether the document is stored durably on this device. */
  async function read(notes: LoroDocuments, id: string): Promise<boolean> {
    const document = await notes.open(id)
    const room = session?.room.get()
    if (unsigned.delete(id) && room?.type === "open") {
      noted.add(id)
      if (!signText(document.doc, room.room.device, profile.get())) noted.delete(id)
    }
    lostEdits.read(id, document.doc)
    bodies.put(id, document.doc.getText("body").toString())
    return attempt(document.close())
  }

  async function readAll(): Promise<void> {
    const phase = session?.notes.get()
    let isStored = true
    if (phase?.type === "ready") {
      const ids = [...waiting]
      waiting.clear()
      for (const id of ids) {
        const stored = await read(phase.notes, id).catch(() => {
          // It cannot be opened now. It is read when it changes again, or by the next page if this one has been closed.
          if (session !== null) bodies.giveUp(id)
          return true
        })
        if (stored || !isStorageKnownFull()) continue
        waiting.add(id)
        isStored = false
      }
    }
    timer = null
    if (waiting.size > 0) schedule(isStored ? READ_AFTER_MS : ASK_AGAIN_AFTER_MS)
  }

  function schedule(afterMs: number): void {
    if (session !== null) timer ??= setTimeout(() => void readAll(), afterMs)
  }

  return {
    changed(id, origin) {
      if (origin === "local" && !noted.delete(id)) {
        documents.touch(id)
        unsigned.add(id)
        lostEdits.edited(id)
      }
      bodies.expect(id)
      waiting.add(id)
      schedule(READ_AFTER_MS)
    },
    attach(opened) {
      session = opened
    },
    close() {
      session = null
      if (timer !== null) clearTimeout(timer)
    },
  }
}

function isStorageKnownFull(): boolean {
  return storageHealth.get().trouble === "full"
}
