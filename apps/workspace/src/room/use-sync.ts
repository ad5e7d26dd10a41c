import { useStateValue, useSyncStatus } from "@dunlin/react"
import { storageHealth } from "../device/storage-health.ts"
import { useOthers } from "../people/use-everyone.ts"
import { useOnline } from "../shell/use-online.ts"
import { useWorkspace } from "../workspace/workspace-context.ts"
import { describeSync, type SyncWords } from "./sync-words.ts"

export function useSync(): SyncWords {
  const { session, durable } = useWorkspace()
  const room = useStateValue(session.room, { type: "opening" })
  const paused = useStateValue(session.cable.cut, false)
  const others = useOthers().map(({ facts }) => facts)
  const problem = useSyncStatus()?.problem ?? null
  const isStorageFull = useStateValue(storageHealth, storageHealth.get()).trouble === "full"
  return describeSync({ room, others, problem, online: useOnline(), paused, durable, isStorageFull })
}
