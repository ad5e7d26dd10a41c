import "./engine-failed.css"
import type { DocumentEntry } from "../data/entries.ts"
import { Notice } from "../ui/notice.tsx"
import type { DocumentContent } from "./document-content.ts"
import { useKeepContent } from "./use-keep-content.ts"

export interface DeletedDocumentProps {
  readonly id: string
  /** Its row in the list, as last seen. Null if it was never seen on this page. */
  readonly seen: Pick<DocumentEntry, "title" | "tags"> | null
  /** As it was when it was deleted, for those who had it open or had just written in it. */
  readonly content: DocumentContent
}

export function DeletedDocument({ id, seen, content }: DeletedDocumentProps) {
  const { text } = content
  const { keep, isKeeping } = useKeepContent(id, {
    title: seen?.title ?? "",
    tags: seen?.tags ?? [],
    ...content,
  })
  const name = seen === null ? "This document" : `“${seen.title || "Untitled"}”`
  return (
    // Keyboards must be able to scroll it.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className="engine-failed measure" role="region" aria-label="Deleted document" tabIndex={0}>
      <Notice tone="warn" title={`${name} was deleted forever.`}>
        <p>
          Somebody deleted it on all devices of this workspace.
          {text !== "" && " Below is its text as it last was here, for as long as this page stays open."}
        </p>
        {text !== "" && (
          <div className="notice-actions">
            <button type="button" className="button" aria-disabled={isKeeping} onClick={keep}>
              Keep the text as a new document
            </button>
          </div>
        )}
      </Notice>
      {text !== "" && <div className="prose">{text}</div>}
    </div>
  )
}
