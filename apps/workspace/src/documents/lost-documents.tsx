import { useStateValue } from "@dunlin/react"
import { useLocation } from "wouter"
import type { LostDocument } from "../room/lost-edits.ts"
import { documentAt } from "../shell/paths.ts"
import { Notice } from "../ui/notice.tsx"
import { useWorkspace } from "../workspace/workspace-context.ts"
import { quotedTitle } from "./quoted-title.ts"
import { useKeepContent } from "./use-keep-content.ts"

/** More at once would cover the screen. The others follow when these are dismissed. */
const SHOWN = 2

/** Documents in which somebody wrote here and which others deleted without having seen that. */
function useLostDocuments(): readonly LostDocument[] {
  const { lostEdits } = useWorkspace()
  return useStateValue(lostEdits.lost, [])
}

export function useLostDocument(id: string): LostDocument | null {
  return useLostDocuments().find((document) => document.id === id) ?? null
}

/** Those to tell about on any screen: a page that shows such a document says so itself. */
export function useUnseenLost(): readonly LostDocument[] {
  const [location] = useLocation()
  const open = documentAt(location)
  return useLostDocuments().filter(({ id }) => id !== open)
}

export function LostDocuments({ documents }: { readonly documents: readonly LostDocument[] }) {
  return documents.slice(0, SHOWN).map((document) => <LostNotice key={document.id} document={document} />)
}

function LostNotice({ document }: { readonly document: LostDocument }) {
  const { lostEdits } = useWorkspace()
  const { keep, isKeeping } = useKeepContent(document.id, document)
  return (
    <Notice tone="warn" title={`${quotedTitle(document.title)} was deleted forever on another device.`}>
      <p>
        What you last wrote in it had not reached the others by then. Its text is kept as it was here, for as long
        as this page stays open.
      </p>
      <div className="notice-actions">
        <button type="button" className="button" aria-disabled={isKeeping} onClick={keep}>Keep as a new document</button>
        <button type="button" className="button quiet" onClick={() => lostEdits.dismiss(document.id)}>Dismiss</button>
      </div>
    </Notice>
  ) // prettier-ignore
}
