import type { LoroDocuments } from "@dunlin/loro"
import type { LoroDoc } from "loro-crdt"
import { QUICK_NOTE } from "../data/entries.ts"
import { readMeta } from "../documents/document-meta.ts"
import type { Workspace } from "../workspace/workspace.ts"
import { codeOf, whyUnreadable } from "../documents/unreadable-text.ts"
import { loadedNotes } from "../room/loaded-notes.ts"
import { type MissingText, packArchive, type PortableDocument } from "./archive.ts"
import { describeCounts } from "./describe-counts.ts"

export interface Exported {
  readonly blob: Blob
  readonly documents: number
  readonly tasks: number
  /** Texts that cannot be read here: the zip contains only their names. */
  readonly missing: readonly MissingText[]
}

export async function exportWorkspace({ documents, tasks, session }: Workspace): Promise<Exported> {
  const [entries, board, notes] = await Promise.all([
    documents.entries.ready(),
    tasks.entries.ready(),
    loadedNotes(session),
  ])
  const portable: PortableDocument[] = []
  const missing: MissingText[] = []
  /** One text that cannot be read must not prevent the export of all the others. */
  const read = async <T>(id: string, title: string, take: (doc: LoroDoc) => T): Promise<T | null> => {
    try {
      return await readNote(notes, id, take)
    } catch (error) {
      if (codeOf(error) === "closed") throw error
      missing.push({ id, title, reason: whyUnreadable(error) })
      return null
    }
  }
  for (const entry of entries) {
    const document = await read(entry.id, entry.title, (doc) => ({
      entry,
      body: bodyOf(doc),
      ...readMeta(doc),
    }))
    if (document !== null) portable.push(document)
  }
  const quickNote = (await read(QUICK_NOTE, "The quick note", bodyOf)) ?? ""
  const bytes = packArchive({ documents: portable, tasks: board, quickNote }, missing)
  return {
    blob: new Blob([bytes], { type: "application/zip" }),
    documents: portable.length,
    tasks: board.length,
    missing,
  }
}

const MAX_NAMED = 3

/** The outcome of an export in words, for the person who asked for it. */
export function describeExport({ documents, tasks, missing }: Exported): string {
  const done = `Exported ${describeCounts(documents, tasks)}.`
  if (missing.length === 0) return done
  const named = missing.slice(0, MAX_NAMED).map(({ title, reason }) => `“${title}” (${reason})`)
  const more = missing.length - named.length
  return `${done} Not included: ${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}. The zip lists them in missing.txt.`
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
