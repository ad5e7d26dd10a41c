import type { LoroDocument } from "@dunlin/loro"
import { useText } from "@dunlin/react/loro"
import { MAX_BODY } from "../data/entries.ts"

/** A plain textarea bound to a Loro text: only small changes go out, and the caret stays in place while others type. */
export function NoteArea({ note }: { readonly note: LoroDocument }) {
  const { ref } = useText(note, "body")
  return (
    <textarea
      ref={ref}
      className="sheet"
      dir="auto"
      aria-label="Quick note"
      placeholder="Write something everybody here should see."
      maxLength={MAX_BODY}
      spellCheck
    />
  )
}
