import { insertText, type LoroDocuments } from "@dunlin/loro"
import { writeContent } from "../documents/document-content.ts"
import { MAX_BODY, QUICK_NOTE, readDocument, type Task } from "../data/entries.ts"
import { ranksAfter } from "../data/rank.ts"
import { randomId } from "../device/random-id.ts"
import { loadedNotes } from "../room/loaded-notes.ts"
import type { Workspace } from "../workspace/workspace.ts"
import {
  ArchiveError,
  MAX_TOTAL_BYTES,
  tooLarge,
  unpackArchive,
  type Portable,
  type PortableDocument,
} from "./archive.ts"

export interface Imported {
  readonly documents: number
  readonly tasks: number
  /** Documents and tasks that are already here with the same title and text. */
  readonly skipped: number
}

export async function importFiles(workspace: Workspace, files: readonly File[]): Promise<Imported> {
  const portables = await Promise.all(files.map(readFile))
  return addPortable(workspace, {
    documents: portables.flatMap(({ documents }) => documents),
    tasks: portables.flatMap(({ tasks }) => tasks),
    quickNote: portables
      .map(({ quickNote }) => quickNote)
      .filter((text) => text !== "")
      .join("\n\n"),
  })
}

/** Each waits for the disk. All at once would be in memory together. */
const WRITTEN_AT_ONCE = 20

/**
 * Adds documents under fresh ids. An old id would join the imported text to the history that another device still holds
 * under it, and everything would be there twice.
 */
export async function addPortable(
  workspace: Workspace,
  { documents, tasks, quickNote }: Portable,
): Promise<Imported> {
  for (const { entry, body } of documents) if (body.length > MAX_BODY) throw tooLong(entry.title)
  if (quickNote.length > MAX_BODY) throw tooLong("The quick note")
  const notes = await loadedNotes(workspace.session)
  const known = await fingerprintsHere(workspace)
  const fresh = documents.filter(({ entry, body }) => !known.has(fingerprint(entry.title, body)))
  const added = fresh.map((document) => ({ ...document, entry: { ...document.entry, id: randomId() } }))
  const write = async ({ entry, body, description, language }: PortableDocument): Promise<void> => {
    await using document = await notes.open(entry.id)
    writeContent(document.doc, { text: body, description, language })
    document.commit()
    workspace.bodies.put(entry.id, body)
  }
  for (let at = 0; at < added.length; at += WRITTEN_AT_ONCE) {
    await Promise.all(added.slice(at, at + WRITTEN_AT_ONCE).map(write))
  }
  await workspace.documents.createMany(added.map(({ entry }) => entry))
  const newTasks = await tasksNotHere(workspace, tasks)
  await workspace.tasks.createMany(newTasks)
  // Comes last: if that text cannot be opened, everything else has been imported.
  await addToQuickNote(notes, quickNote)
  const skipped = documents.length - added.length + tasks.length - newTasks.length
  return { documents: added.length, tasks: newTasks.length, skipped }
}

async function readFile(file: File): Promise<Portable> {
  const isZip = /\.zip$/i.test(file.name)
  // Before it is read, since a file may be larger than memory. No character takes more than three bytes per unit of length.
  if (!isZip && file.size > 3 * MAX_BODY) throw tooLong(file.name)
  if (file.size > MAX_TOTAL_BYTES) throw tooLarge()
  if (isZip) return unpackArchive(new Uint8Array(await file.arrayBuffer()))
  const now = Date.now()
  const title = file.name.replace(/\.[^.]+$/, "")
  const entry = readDocument({ id: randomId(), title, tags: [], created: now, updated: now, archived: false })
  const document: PortableDocument = { entry, body: await file.text(), description: "", language: "" }
  return { documents: [document], tasks: [], quickNote: "" }
}

function tooLong(name: string): ArchiveError {
  const most = MAX_BODY.toLocaleString("en")
  return new ArchiveError("too-large", `“${name.slice(0, 50)}” has more than ${most} characters, which other devices refuse: split it into smaller ones`)
} // prettier-ignore

/** Adds the text below what is there, unless it is there already. */
async function addToQuickNote(notes: LoroDocuments, text: string): Promise<void> {
  if (text === "") return
  await using document = await notes.open(QUICK_NOTE)
  const body = document.doc.getText("body")
  const present = body.toString()
  if (present.includes(text)) return
  insertText(body, body.length, present === "" ? text : `\n\n${text}`)
  document.commit()
}

async function fingerprintsHere({ documents, bodies }: Workspace): Promise<ReadonlySet<string>> {
  const [entries] = await Promise.all([documents.entries.ready(), bodies.load()])
  return new Set(entries.map(({ id, title }) => fingerprint(title, bodies.text(id) ?? "")))
}

async function tasksNotHere({ tasks }: Workspace, candidates: readonly Task[]): Promise<readonly Task[]> {
  const here = await tasks.entries.ready()
  const known = new Set(here.map((task) => fingerprint(task.title, `${task.column}\n${task.note}`)))
  const fresh = candidates.filter(
    (task) => !known.has(fingerprint(task.title, `${task.column}\n${task.note}`)),
  )
  if (here.length === 0) return fresh
  // After what is on the board, in their own order.
  const last = here.reduce((greatest, { rank }) => (rank > greatest ? rank : greatest), "")
  const ranks = ranksAfter(last, fresh.length)
  return fresh.map((task, index) => ({ ...task, rank: ranks[index] ?? task.rank }))
}

function fingerprint(title: string, text: string): string {
  return `${title}\u0000${text}`
}
