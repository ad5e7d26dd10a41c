import type { LoroDocuments } from "@dunlin/loro"
import type { Session } from "../room/session.ts"

/** The documents once Loro is loaded; rejects with the reason when it cannot be. */
export async function loadedNotes(session: Session): Promise<LoroDocuments> {
  session.loadNotes()
  return new Promise((resolve, reject) => {
    const settle = (): boolean => {
      const phase = session.notes.get()
      if (phase.type === "ready") resolve(phase.notes)
      if (phase.type === "failed") reject(new Error(phase.reason))
      return phase.type !== "loading"
    }
    if (settle()) return
    const end = session.notes.subscribe(() => settle() && end())
  })
}
