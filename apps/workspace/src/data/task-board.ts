import { randomId } from "../device/random-id.ts"
import type { WorkspaceDatabase } from "./database.ts"
import { MAX_NOTE, MAX_TITLE, readTask, type Column, type Task } from "./entries.ts"
import { createLiveList, type LiveList } from "./live-list.ts"
import { byRank, rankAt, ranksAfter } from "./rank.ts"
import { TASK_GROUPS, type TaskRow } from "./schemas.ts"
import { signature } from "./signature.ts"

export interface TaskBoard {
  /** By rank over all columns. */
  readonly entries: LiveList<Task>
  /** At the end of the column. */
  create(title: string, column: Column): Promise<string>
  createMany(tasks: readonly Omit<Task, "id" | "editor">[]): Promise<void>
  move(id: string, column: Column, index: number): Promise<void>
  edit(id: string, fields: Partial<Pick<Task, "title" | "note" | "column">>): Promise<void>
  remove(id: string): Promise<void>
  /** Brings a removed task back as it was. */
  restore(task: Task): Promise<void>
}

export function createTaskBoard(database: WorkspaceDatabase): TaskBoard {
  const entries = createLiveList(database.tasks, { read: readTask, compare: byRank })

  async function inColumn(column: Column): Promise<readonly Task[]> {
    return (await entries.ready()).filter((task) => task.column === column)
  }

  async function patch(id: string, fields: Partial<TaskRow>): Promise<void> {
    const found = await database.tasks.findOne(id).exec()
    if (found === null) throw new Error("the task was deleted on another device.")
    await found.incrementalModify((row) => ({
      ...row,
      ...fields,
      ...signature(TASK_GROUPS, fields, row.edits),
    }))
  }

  return {
    entries,
    async create(title, column) {
      const now = Date.now()
      const [rank = "a0"] = ranksAfter((await inColumn(column)).at(-1)?.rank ?? null, 1)
      const row = rowOf({ id: randomId(), title, note: "", column, rank, created: now, updated: now })
      await database.tasks.insert(row)
      return row.id
    },
    async createMany(tasks) {
      await database.tasks.bulkInsert(tasks.map((task) => rowOf({ ...task, id: randomId() })))
    },
    async move(id, column, index) {
      await patch(id, { column, rank: rankAt(await inColumn(column), id, index) })
    },
    edit: (id, fields) => patch(id, fields),
    async remove(id) {
      await (await database.tasks.findOne(id).exec())?.incrementalRemove()
    },
    async restore(task) {
      await database.tasks.upsert(rowOf({ ...task, updated: Date.now() }))
    },
  }
}

function rowOf(task: Omit<Task, "editor">): TaskRow {
  const { id, column, rank, created, updated } = task
  const fields = { title: task.title.slice(0, MAX_TITLE), note: task.note.slice(0, MAX_NOTE), column, rank }
  return { id, created, ...fields, ...signature(TASK_GROUPS, fields, {}), updated }
}
