import { useState } from "react"
import { useLocation } from "wouter"
import { documentPath } from "../shell/paths.ts"
import { attempt } from "../ui/attempt.ts"
import { useIsShown } from "../ui/use-is-shown.ts"
import { useWorkspace } from "../workspace/workspace-context.ts"
import { keepContent, type DeletedContent } from "./delete-document.ts"

export interface Keeping {
  readonly keep: () => void
  readonly isKeeping: boolean
}

/** Makes a new document of what is left of a deleted one, and opens it. */
export function useKeepContent(id: string, content: DeletedContent): Keeping {
  const workspace = useWorkspace()
  const [, navigate] = useLocation()
  const isShown = useIsShown()
  const [isKeeping, setKeeping] = useState(false)

  async function keep(): Promise<void> {
    // A second press, while the first is still at work, would make a second document.
    if (isKeeping) return
    setKeeping(true)
    const isKept = await attempt(
      keepContent(workspace, content).then((kept) => {
        if (isShown()) navigate(documentPath(kept))
      }),
    )
    if (isKept) workspace.lostEdits.dismiss(id)
    else setKeeping(false)
  }
  return { keep: () => void keep(), isKeeping }
}
