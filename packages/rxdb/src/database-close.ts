import type { RxDatabase, RxPlugin } from "rxdb"
import { addRxPlugin } from "rxdb/plugins/core"

type Leave = () => Promise<void>
type LeavesByDatabase = WeakMap<object, Set<Leave>>

/** Two copies of RxDB or of this package in one process must not register the hook twice. */
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

function leavesOfProcess(): LeavesByDatabase {
  const scope = globalThis as { [REGISTRY]?: LeavesByDatabase }
  const known = scope[REGISTRY]
  if (known !== undefined) return known
  const leaves: LeavesByDatabase = new WeakMap()
  scope[REGISTRY] = leaves
  const plugin: RxPlugin = {
    name: "dunlin-database-close",
    rxdb: true,
    hooks: {
      preCloseRxDatabase: {
        // What rejects here would leave `database.close()` open for ever. The collection's own end tells it.
        after: (database) => Promise.allSettled([...(leaves.get(database) ?? [])].map((leave) => leave())),
      },
    },
  }
  addRxPlugin(plugin)
  return leaves
}
