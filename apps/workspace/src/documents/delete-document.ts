import type { DocumentEntry } from "../data/entries.ts"
import { loadedNotes } from "../room/loaded-notes.ts"
import type { Workspace } from "../workspace/workspace.ts"
import { writeContent, type DocumentContent } from "./document-content.ts"

/** Deletes a document for ever, here and on every device of the workspace. */
export async function deleteDocument({ session, documents }: Workspace, id: string): Promise<void> {
  const notes = await loadedNotes(session)
  // The text goes first: if the page ends in between, its row is still there, and can be deleted again.
  await notes.delete(id)
  await documents.remove(id)
}

/** What is left of a document that was deleted, except its history: that goes with the document. */
export interface DeletedContent extends DocumentContent, Pick<DocumentEntry, "title" | "tags"> {}

/** A new document with the content of a deleted one. Resolves to its id. */
export async function keepContent(
  { session, documents }: Pick<Workspace, "session" | "documents">,
  { title, tags, ...content }: DeletedContent,
): Promise<string> {
  const notes = await loadedNotes(session)
  const id = await documents.create({ title, tags })
  await using document = await notes.open(id)
  writeContent(document.doc, content)
  document.commit()
  return id
}
