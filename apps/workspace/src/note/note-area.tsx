import type { LoroDoc } from "loro-crdt"
import { useText } from "@dunlin/react/loro"

/** A plain textarea on a Loro text: small changes go out, and the caret stays while others type. */
export function NoteArea({ doc }: { readonly doc: LoroDoc }) {
  const { ref } = useText(doc, "body")
  return (
    <textarea ref={ref} className="sheet" aria-label="Quick note" placeholder="Write something everybody here should see." spellCheck />
  ) // prettier-ignore
}
