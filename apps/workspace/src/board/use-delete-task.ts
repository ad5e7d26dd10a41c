import type { Task } from "../data/entries.ts"
import { attempt } from "../ui/attempt.ts"
import { toast } from "../ui/toasts.tsx"
import { useWorkspace } from "../workspace/workspace-context.ts"

/** Deletes a task and offers to take that back. Resolves to whether it worked. */
export function useDeleteTask(): (task: Task) => Promise<boolean> {
  const { tasks } = useWorkspace()
  return async (task) => {
    if (!(await attempt(tasks.remove(task.id)))) return false
    toast(`Deleted “${task.title}”.`, { label: "Undo", run: () => void attempt(tasks.restore(task)) })
    return true
  }
}
