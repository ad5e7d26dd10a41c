import type { ReplicaLinkStatus, Room } from "@dunlin/core"
import { useRoom, useStateValue } from "@dunlin/react"
import { rxdbReplica, type RxdbHandle } from "@dunlin/rxdb"
import { expectTypeOf, test } from "vitest"
import type { WorkspaceDatabase } from "../data/database.ts"
import type { TaskRow } from "../data/schemas.ts"

// Only compiled, never run: the hooks of a component that was given the database.
function useTaskLinks(database: WorkspaceDatabase, handle: RxdbHandle<TaskRow> | null): void {
  const room = useRoom()
  expectTypeOf(room).toEqualTypeOf<Room | null>()
  const share = (): Promise<RxdbHandle<TaskRow>> | undefined => room?.replicate(rxdbReplica(database.tasks))
  expectTypeOf(share).returns.toEqualTypeOf<Promise<RxdbHandle<TaskRow>> | undefined>()
  const links = useStateValue(handle?.links ?? null, NOBODY)
  expectTypeOf(links).toEqualTypeOf<ReadonlyMap<string, ReplicaLinkStatus>>()
}

const NOBODY: ReadonlyMap<string, ReplicaLinkStatus> = new Map()

test("hooks keep the types of what a collection was made of", () => {
  expectTypeOf(useTaskLinks).parameter(1).toEqualTypeOf<RxdbHandle<TaskRow> | null>()
})
