import type { LoroDocuments } from "@dunlin/loro"
import type { LoroDoc } from "loro-crdt"
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
    portable.push(await readNote(notes, entry.id, (doc) => ({ entry, body: bodyOf(doc), ...readMeta(doc) })))
  }
  const quickNote = await readNote(notes, QUICK_NOTE, bodyOf)
  const bytes = packArchive({ documents: portable, tasks: board, quickNote })
  return {
    blob: new Blob([bytes], { type: "application/zip" }),
    documents: portable.length,
    tasks: board.length,
  }
}

/** People export when storage is full, so it must not matter that closing the document fails for want of storage. */
async function readNote<T>(notes: LoroDocuments, id: string, read: (doc: LoroDoc) => T): Promise<T> {
  const document = await notes.open(id)
  try {
    return read(document.doc)
  } finally {
    await document.close().catch(() => undefined)
  }
}

function bodyOf(doc: LoroDoc): string {
  return doc.getText("body").toString()
}
