import { useStateValue } from "@dunlin/react"
import { useEffect } from "react"
import { useOthers } from "../people/use-everyone.ts"
import { noteArrival, registry } from "../workspace/registry.ts"
import { useWorkspace } from "../workspace/workspace-context.ts"

/** Whether this workspace was begun by others, and nothing of theirs has come to this device yet. */
export function useIsAwaited(): boolean {
  const { id } = useWorkspace()
  const { workspaces } = useStateValue(registry, registry.get())
  const isAwaited = workspaces.find((entry) => entry.id === id)?.isAwaited === true
  const hasCome = useOthers().some(({ facts }) => facts.lastSyncedAt !== null)
  useEffect(() => {
    if (isAwaited && hasCome) noteArrival(id)
  }, [id, isAwaited, hasCome])
  return isAwaited && !hasCome
}
