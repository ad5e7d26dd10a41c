import type { BodyCache } from "../data/body-cache.ts"
import type { DocumentList } from "../data/document-list.ts"
import type { Session } from "./session.ts"

/** Follows the texts of all documents, open or not, so that lists and search show them as they are. */
export interface TextWatch {
  changed(id: string, origin: "local" | "remote" | "tab"): void
  attach(session: Session): void
  close(): void
}

const READ_AFTER_MS = 400

export function createTextWatch(to: {
  readonly documents: DocumentList
  readonly bodies: BodyCache
}): TextWatch {
  const waiting = new Set<string>()
  let session: Session | null = null
  let timer: ReturnType<typeof setTimeout> | null = null

  async function read(): Promise<void> {
    const phase = session?.notes.get()
    if (phase?.type === "ready") {
      const ids = [...waiting]
      waiting.clear()
      for (const id of ids) {
        const document = await phase.notes.open(id)
        to.bodies.put(id, document.doc.getText("body").toString())
        await document.close()
      }
    }
    timer = null
    if (waiting.size > 0) schedule()
  }

  function schedule(): void {
    // A text that cannot be opened now is read when it changes again.
    timer ??= setTimeout(() => void read().catch(() => (timer = null)), READ_AFTER_MS)
  }

  return {
    changed(id, origin) {
      if (origin === "local") to.documents.touch(id)
      waiting.add(id)
      schedule()
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
