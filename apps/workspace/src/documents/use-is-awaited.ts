import { useStateValue } from "@dunlin/react"
import { useEffect } from "react"
import { useOthers } from "../people/use-everyone.ts"
import { noteArrival, registry } from "../workspace/registry.ts"
import { useWorkspace } from "../workspace/workspace-context.ts"

/** Lists show what arrived a moment later, and one collection may be compared before the other has arrived. */
const SETTLED_AFTER_MS = 1_500

/** Whether others began this workspace and none of their data has reached this device yet. */
export function useIsAwaited(): boolean {
  const { id } = useWorkspace()
  const { workspaces } = useStateValue(registry, registry.get())
  return workspaces.find((entry) => entry.id === id)?.isAwaited === true
}

/** Notes that the others' data has arrived, on whatever screen: what shows that it is awaited goes with the first row. */
export function useNoteArrival(): void {
  const { id } = useWorkspace()
  const isSynced = useOthers().some(({ facts }) => facts.isSynced)
  useEffect(() => {
    if (!isSynced) return
    const timer = setTimeout(() => noteArrival(id), SETTLED_AFTER_MS)
    return () => clearTimeout(timer)
  }, [id, isSynced])
}
