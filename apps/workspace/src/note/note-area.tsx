import type { LoroDocument } from "@dunlin/loro"
import { useText } from "@dunlin/react/loro"

/** A plain textarea on a Loro text: small changes go out, and the caret stays while others type. */
export function NoteArea({ note }: { readonly note: LoroDocument }) {
  const { ref } = useText(note, "body")
  return (
    <textarea
      ref={ref}
      className="sheet"
      aria-label="Quick note"
      placeholder="Write something everybody here should see."
      spellCheck
    />
  )
}
