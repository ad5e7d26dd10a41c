import { randomId } from "../device/random-id.ts"
import { cutText } from "./cut-text.ts"
import type { WorkspaceDatabase } from "./database.ts"
import { MAX_NOTE, MAX_TITLE, readTask, type Column, type Task } from "./entries.ts"
import { createLiveList, type LiveList } from "./live-list.ts"
import { byRank, rankAt, ranksAfter } from "./rank.ts"
import { TASK_GROUPS, type TaskRow } from "./schemas.ts"
import type { MergeLog } from "./merge-log.ts"
import { patchRow } from "./patch-row.ts"
import { signature } from "./signature.ts"

export type TaskFields = Partial<Pick<Task, "title" | "note" | "column">>

export interface TaskBoard {
  /** All tasks in order of rank, across the columns. */
  readonly entries: LiveList<Task>
  /** Adds the task at the end of the column. */
  create(title: string, column: Column): Promise<string>
  /** Adds tasks with these titles at the end of the column. Resolves to their ids. */
  createList(titles: readonly string[], column: Column): Promise<readonly string[]>
  createMany(tasks: readonly Omit<Task, "id" | "editor">[]): Promise<void>
  move(id: string, column: Column, index: number): Promise<void>
  /** `seen` holds the fields as they were when the author began to write. */
  edit(id: string, fields: TaskFields, seen?: TaskFields): Promise<void>
  remove(id: string): Promise<void>
  removeMany(ids: readonly string[]): Promise<void>
  /** Brings a removed task back as it was. */
  restore(task: Task): Promise<void>
}

export function createTaskBoard(
  database: WorkspaceDatabase,
  { overwritten }: Pick<MergeLog, "overwritten">,
): TaskBoard {
  const entries = createLiveList(database.tasks, { read: readTask, compare: byRank })

  /** A task just added is not listed yet, but the next one must still go below it. */
  const lastRankByColumn = new Map<Column, string>()

  async function ranksAtEnd(column: Column, count: number): Promise<readonly string[]> {
    const listed = (await inColumn(column)).at(-1)?.rank ?? null
    const given = lastRankByColumn.get(column) ?? null
    const last = listed === null || (given !== null && given > listed) ? given : listed
    const ranks = ranksAfter(last, count)
    lastRankByColumn.set(column, ranks.at(-1) ?? last ?? "a0")
    return ranks
  }

  async function createList(titles: readonly string[], column: Column): Promise<readonly string[]> {
    const now = Date.now()
    const ranks = await ranksAtEnd(column, titles.length)
    const rows = ranks.map((rank, at) =>
      rowOf({ id: randomId(), title: titles[at] ?? "", note: "", column, rank, created: now, updated: now }),
    )
    await database.tasks.bulkInsert(rows)
    return rows.map(({ id }) => id)
  }

  async function inColumn(column: Column): Promise<readonly Task[]> {
    return (await entries.ready()).filter((task) => task.column === column)
  }

  async function patch(id: string, fields: Partial<TaskRow>, seen?: TaskFields): Promise<void> {
    const isThere = await patchRow(database.tasks, id, {
      fields,
      seen,
      groups: TASK_GROUPS,
      overwritten: (clash) => overwritten("task", clash),
    })
    if (!isThere) throw new Error("the task was deleted on another device.")
  }

  return {
    entries,
    async create(title, column) {
      const now = Date.now()
      const [rank = "a0"] = await ranksAtEnd(column, 1)
      const row = rowOf({ id: randomId(), title, note: "", column, rank, created: now, updated: now })
      await database.tasks.insert(row)
      return row.id
    },
    createList,
    async createMany(tasks) {
      await database.tasks.bulkInsert(tasks.map((task) => rowOf({ ...task, id: randomId() })))
    },
    async move(id, column, index) {
      await patch(id, { column, rank: rankAt(await inColumn(column), id, index) })
    },
    edit: patch,
    async remove(id) {
      await (await database.tasks.findOne(id).exec())?.incrementalRemove()
    },
    async removeMany(ids) {
      await database.tasks.bulkRemove([...ids])
    },
    async restore(task) {
      await database.tasks.upsert(rowOf({ ...task, updated: Date.now() }))
    },
  }
}

function rowOf(task: Omit<Task, "editor">): TaskRow {
  const { id, column, rank, created, updated } = task
  const fields = { title: cutText(task.title, MAX_TITLE), note: cutText(task.note, MAX_NOTE), column, rank }
  return { id, created, ...fields, ...signature(TASK_GROUPS, fields, {}), updated }
}
