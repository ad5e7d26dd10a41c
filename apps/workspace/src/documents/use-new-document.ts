import { useCallback } from "react"
import { useLocation } from "wouter"
import { documentPath } from "../shell/paths.ts"
import { attempt } from "../ui/attempt.ts"
import { useWorkspace } from "../workspace/workspace-context.ts"

export function useNewDocument(): () => Promise<void> {
  const { documents } = useWorkspace()
  const [, navigate] = useLocation()
  return useCallback(async () => {
    await attempt(documents.create().then((id) => navigate(documentPath(id))))
  }, [documents, navigate])
}
