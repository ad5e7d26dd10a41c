import type { LoroDocument } from "@dunlin/loro"
import { useStateValue } from "@dunlin/react"
import { useLoroDoc } from "@dunlin/react/loro"
import type { LoroDoc } from "loro-crdt"
import { useEffect, useRef } from "react"
import { contentOf, readContent, type DocumentContent } from "./document-content.ts"
import { useWorkspace } from "../workspace/workspace-context.ts"
import { codeOf, whyUnreadable } from "./unreadable-text.ts"

export type OpenNote =
  | { readonly type: "loading" }
  | { readonly type: "ready"; readonly doc: LoroDoc; readonly note: LoroDocument }
  /** For ever. `content` is as it was then if it was open here, and otherwise empty. */
  | { readonly type: "deleted"; readonly content: DocumentContent }
  | { readonly type: "failed"; readonly reason: string; readonly retry: () => void }

/** Opens the Loro document of an entry for as long as the component lives. */
export function useNote(id: string): OpenNote {
  const { session } = useWorkspace()
  const phase = useStateValue(session.notes, { type: "loading" })
  useEffect(() => {
    // After a failure, a person decides when to try again; the notice must not flicker.
    if (session.notes.get().type !== "failed") session.loadNotes()
  }, [session])
  const opened = useLoroDoc(phase.type === "ready" ? phase.notes : null, id)
  const last = useRef<LoroDoc | DocumentContent>(contentOf(""))
  if (opened.status === "open") last.current = opened.doc
  /** Read once, since a document that was deleted is freed when it is closed. */
  const lastContent = (): DocumentContent => {
    if (!("text" in last.current)) last.current = readContent(last.current)
    return last.current
  }
  if (phase.type === "failed") return { type: "failed", reason: phase.reason, retry: session.loadNotes }
  switch (opened.status) {
    case "loading":
      return { type: "loading" }
    case "open":
      return { type: "ready", doc: opened.doc, note: opened.document }
    case "deleted":
      return { type: "deleted", content: lastContent() }
    case "failed":
      if (codeOf(opened.error) === "document-deleted") return { type: "deleted", content: lastContent() }
      return {
        type: "failed",
        reason: `The text did not open: ${whyUnreadable(opened.error)}.`,
        retry: opened.retry,
      }
  }
}
