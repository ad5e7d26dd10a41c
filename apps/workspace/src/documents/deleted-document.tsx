import "./engine-failed.css"
import { useState } from "react"
import { useLocation } from "wouter"
import { documentPath } from "../shell/paths.ts"
import { attempt } from "../ui/attempt.ts"
import { Notice } from "../ui/notice.tsx"
import { useIsShown } from "../ui/use-is-shown.ts"
import { useWorkspace } from "../workspace/workspace-context.ts"
import { keepText } from "./delete-document.ts"

export interface DeletedDocumentProps {
  /** Null if it was never seen on this page. */
  readonly title: string | null
  /** As it was when it was deleted, for those who had it open. */
  readonly text: string
}

export function DeletedDocument({ title, text }: DeletedDocumentProps) {
  const workspace = useWorkspace()
  const [, navigate] = useLocation()
  const isShown = useIsShown()

  const [keeping, setKeeping] = useState(false)

  async function keep(): Promise<void> {
    // A second press, while the first is still at work, would make a second document.
    if (keeping) return
    setKeeping(true)
    const isKept = await attempt(
      keepText(workspace, title ?? "", text).then((id) => {
        if (isShown()) navigate(documentPath(id))
      }),
    )
    if (!isKept) setKeeping(false)
  }

  return (
    // Keyboards must be able to scroll it.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className="engine-failed measure" role="region" aria-label="Deleted document" tabIndex={0}>
      <Notice
        tone="warn"
        title={
          title === null
            ? "This document was deleted forever."
            : `“${title || "Untitled"}” was deleted forever.`
        }
      >
        <p>
          Somebody deleted it on all devices of this workspace.
          {text !== "" && " Below is its text as it last was here, for as long as this page stays open."}
        </p>
        {text !== "" && (
          <div className="notice-actions">
            <button type="button" className="button" aria-disabled={keeping} onClick={() => void keep()}>
              Keep the text as a new document
            </button>
          </div>
        )}
      </Notice>
      {text !== "" && <div className="prose">{text}</div>}
    </div>
  )
}
