import { QUICK_NOTE } from "../data/entries.ts"
import { readMeta } from "../documents/document-meta.ts"
import type { Workspace } from "../workspace/workspace.ts"
import { packArchive, type PortableDocument } from "./archive.ts"
import { loadedNotes } from "./loaded-notes.ts"

export interface Exported {
  readonly blob: Blob
  readonly documents: number
  readonly tasks: number
}

export async function exportWorkspace({ documents, tasks, session }: Workspace): Promise<Exported> {
  const [entries, board, notes] = await Promise.all([
    documents.entries.ready(),
    tasks.entries.ready(),
    loadedNotes(session),
  ])
  const portable: PortableDocument[] = []
  for (const entry of entries) {
    await using document = await notes.open(entry.id)
    const { doc } = document
    portable.push({ entry, body: doc.getText("body").toString(), ...readMeta(doc) })
  }
  await using note = await notes.open(QUICK_NOTE)
  const quickNote = note.doc.getText("body").toString()
  const bytes = packArchive({ documents: portable, tasks: board, quickNote })
  return {
    blob: new Blob([bytes], { type: "application/zip" }),
    documents: portable.length,
    tasks: board.length,
  }
}
