import type { LoroDocuments } from "@dunlin/loro"
import { awaitState } from "../data/await-state.ts"
import type { Session } from "./session.ts"

/** The documents once Loro is loaded; rejects with the reason if loading fails. */
export async function loadedNotes(session: Session): Promise<LoroDocuments> {
  session.loadNotes()
  const phase = await awaitState(session.notes, (notes) => notes.type !== "loading")
  if (phase.type === "failed") throw new Error(phase.reason)
  return phase.notes
}
