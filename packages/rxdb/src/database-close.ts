import type { RxDatabase } from "rxdb"
import { type HookState, processPlugin } from "./process-plugin.ts"

type Leave = () => Promise<void>

const REGISTRY = Symbol.for("dunlin.rxdb.database-close")

/**
 * Has `leave` called as soon as the database begins to close, and waited for. RxDB closes no collection before the database
 * is idle, and while peers send, it is not: the first sync of a large collection would have to end first. Returns the
 * function that takes this back.
 */
export function leaveBeforeClose(database: RxDatabase, leave: Leave): () => void {
  const leaves = leavesOfProcess()
  const own = leaves.get(database) ?? new Set()
  leaves.set(database, own.add(leave))
  return () => void own.delete(leave)
}

function leavesOfProcess(): HookState<Set<Leave>> {
  return processPlugin(REGISTRY, (leaves) => ({
    name: "dunlin-database-close",
    rxdb: true,
    hooks: {
      preCloseRxDatabase: {
        // What rejects here would leave `database.close()` open for ever. The collection's own end tells it.
        after: (database) => Promise.allSettled([...(leaves.get(database) ?? [])].map((leave) => leave())),
      },
    },
  }))
}
