import { randomId } from "../device/random-id.ts"
import { cutText } from "./cut-text.ts"
import type { WorkspaceDatabase } from "./database.ts"
import { cleanTags, MAX_TITLE, readDocument, type DocumentEntry } from "./entries.ts"
import { createLiveList, type LiveList } from "./live-list.ts"
import { DOCUMENT_GROUPS, type DocumentRow } from "./schemas.ts"
import type { MergeLog } from "./merge-log.ts"
import { patchRow, type RowPatch } from "./patch-row.ts"
import { signature } from "./signature.ts"

export type DocumentFields = Omit<DocumentEntry, "editor">

export interface DocumentList {
  readonly entries: LiveList<DocumentEntry>
  create(fields?: Partial<Omit<DocumentFields, "id">>): Promise<string>
  createMany(rows: readonly DocumentFields[]): Promise<void>
  /** `seen` is the title as it was when its author began to write. */
  rename(id: string, title: string, seen?: string): Promise<void>
  setTags(id: string, tags: readonly string[]): Promise<void>
  /** Builds on what is stored, because tags are added faster than lists show them. */
  addTag(id: string, tag: string): Promise<void>
  removeTag(id: string, tag: string): Promise<void>
  setArchived(id: string, archived: boolean): Promise<void>
  /** For ever: it also beats what others change without knowing of it. The text is deleted apart from this. */
  remove(id: string): Promise<void>
  /** Notes that the text changed. Written at most every half minute, so that typing does not flood the list. */
  touch(id: string): void
}

const TOUCH_EVERY_MS = 30_000

export function createDocumentList(
  database: WorkspaceDatabase,
  { overwritten }: Pick<MergeLog, "overwritten">,
): DocumentList {
  const entries = createLiveList(database.documents, { read: readDocument, compare: newestFirst })

  async function patch(
    id: string,
    fields: RowPatch<DocumentRow>["fields"],
    seen?: Partial<DocumentRow>,
  ): Promise<void> {
    const isThere = await patchRow(database.documents, id, {
      fields,
      seen,
      groups: DOCUMENT_GROUPS,
      overwritten: (clash) => overwritten("document", clash),
    })
    if (!isThere) throw new Error("the document was deleted.")
  }

  return {
    entries,
    async create(fields = {}) {
      const id = randomId()
      const now = Date.now()
      await database.documents.insert(rowOf({ id, title: "", tags: [], created: now, updated: now, archived: false, ...fields })) // prettier-ignore
      return id
    },
    async createMany(rows) {
      await database.documents.bulkInsert(rows.map(rowOf))
    },
    rename: (id, title, seen) =>
      patch(id, { title: cutText(title, MAX_TITLE) }, seen === undefined ? {} : { title: seen }),
    setTags: (id, tags) => patch(id, { tags: [...cleanTags(tags)] }),
    addTag: (id, tag) => patch(id, ({ tags }) => ({ tags: [...cleanTags([...cleanTags(tags), tag])] })),
    removeTag: (id, tag) => patch(id, ({ tags }) => ({ tags: tags.filter((other) => other !== tag) })),
    setArchived: (id, archived) => patch(id, { archived }),
    async remove(id) {
      await (await database.documents.findOne(id).exec())?.incrementalRemove()
    },
    touch(id) {
      const entry = entries.get()?.find((document) => document.id === id)
      if (entry && Date.now() - entry.updated > TOUCH_EVERY_MS) void patch(id, {}).catch(() => undefined)
    },
  }
}

function rowOf(entry: DocumentFields): DocumentRow {
  const { id, created, updated, archived } = entry
  const fields = { title: cutText(entry.title, MAX_TITLE), tags: [...cleanTags(entry.tags)], archived }
  return { id, created, ...fields, ...signature(DOCUMENT_GROUPS, fields, {}), updated }
}

function newestFirst(a: DocumentEntry, b: DocumentEntry): number {
  return b.updated - a.updated || (a.id < b.id ? -1 : 1)
}
