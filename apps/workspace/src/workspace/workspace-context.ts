import { useStateValue } from "@dunlin/react"
import { createContext, useContext } from "react"
import type { DocumentEntry, Task } from "../data/entries.ts"
import type { Workspace } from "./workspace.ts"

export const WorkspaceContext = createContext<Workspace | null>(null)

export function useWorkspace(): Workspace {
  const workspace = useContext(WorkspaceContext)
  if (workspace === null) throw new Error("This screen needs an open workspace")
  return workspace
}

/** Null until the first read. */
export function useDocuments(): readonly DocumentEntry[] | null {
  return useStateValue(useWorkspace().documents.entries, null)
}

export function useTasks(): readonly Task[] | null {
  return useStateValue(useWorkspace().tasks.entries, null)
}
