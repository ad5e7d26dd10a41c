import { insertText } from "@dunlin/loro"
import { loadedNotes } from "../room/loaded-notes.ts"
import type { Workspace } from "../workspace/workspace.ts"

/** Deletes a document for ever, here and on every device of the workspace. */
export async function deleteDocument({ session, documents }: Workspace, id: string): Promise<void> {
  const notes = await loadedNotes(session)
  // The text goes first: if the page ends in between, its row is still there, and can be deleted again.
  await notes.delete(id)
  await documents.remove(id)
}

/** A new document with the text of a deleted one. Resolves to its id. */
export async function keepText(
  { session, documents }: Workspace,
  title: string,
  text: string,
): Promise<string> {
  const notes = await loadedNotes(session)
  const id = await documents.create({ title })
  await using document = await notes.open(id)
  insertText(document.doc.getText("body"), 0, text)
  document.commit()
  return id
}
