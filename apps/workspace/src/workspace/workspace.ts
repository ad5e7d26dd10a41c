import { createBodyCache, type BodyCache } from "../data/body-cache.ts"
import { openDatabase, type WorkspaceDatabase } from "../data/database.ts"
import { createDocumentList, type DocumentList } from "../data/document-list.ts"
import { createMergeLog, type MergeLog } from "../data/merge-log.ts"
import { startPurge } from "../data/purge.ts"
import { createTaskBoard, type TaskBoard } from "../data/task-board.ts"
import { storageName } from "../device/namespace.ts"
import { reportStorageTrouble } from "../device/storage-health.ts"
import { createLostEdits, type LostEdits } from "../room/lost-edits.ts"
import { openSession, type Session } from "../room/session.ts"
import { createTextWatch } from "../room/text-watch.ts"
import type { KnownWorkspace } from "./registry.ts"

/** Everything about one workspace on this device: its data, and the room in which it is shared. */
export interface Workspace {
  readonly id: string
  readonly invite: string
  readonly documents: DocumentList
  readonly tasks: TaskBoard
  readonly bodies: BodyCache
  readonly merges: MergeLog
  readonly lostEdits: Pick<LostEdits, "lost" | "dismiss">
  readonly session: Session
  /** False when the browser refuses storage. */
  readonly durable: boolean
  close(): Promise<void>
  /** Returns a function that closes it and deletes its data from this device. Rejects while nothing has changed yet. */
  prepareRemoval(): Promise<() => Promise<void>>
}

/** Opens the data before the room, so that the screens never wait for a network. */
export async function openWorkspace({ id, invite }: KnownWorkspace): Promise<Workspace> {
  const mergeLog = createMergeLog()
  const database = await openDatabase(storageName(id.slice(0, 16)), mergeLog.handlers)
  if (!database.durable) reportStorageTrouble("refused")
  mergeLog.attach(database)
  const bodies = createBodyCache(database, id.slice(0, 16))
  const endPurge = startPurge(database, id.slice(0, 16))
  const documents = createDocumentList(database, mergeLog)
  const tasks = createTaskBoard(database, mergeLog)
  const lostEdits = createLostEdits({ name: id.slice(0, 16), documents, bodies })
  const texts = createTextWatch({ documents, bodies, lostEdits })
  const session = openSession({
    id,
    invite,
    database,
    bodies,
    merges: mergeLog,
    textChanged: texts.changed,
    textDeleted: (textId, origin) => void forgetText(textId, origin),
  })
  texts.attach(session)
  session.notes.subscribe((phase) => phase.type === "ready" && lostEdits.attach(phase.notes))

  async function forgetText(textId: string, origin: "local" | "remote" | "tab"): Promise<void> {
    await lostEdits.deleted(textId, origin).catch(() => undefined)
    await Promise.allSettled([bodies.remove(textId), mergeLog.forget(textId)])
  }

  async function close(end: (database: WorkspaceDatabase) => Promise<void>): Promise<void> {
    documents.entries.close()
    tasks.entries.close()
    texts.close()
    lostEdits.close()
    endPurge()
    bodies.close()
    mergeLog.close()
    await session.close()
    await end(database)
  }

  return {
    id,
    invite,
    documents,
    tasks,
    bodies,
    merges: mergeLog,
    lostEdits,
    session,
    durable: database.durable,
    close: () => close((open) => open.close()),
    async prepareRemoval() {
      const removeTexts = await session.prepareRemoval()
      return async () => {
        await close((open) => open.remove())
        await removeTexts()
      }
    },
  }
}
