import "./documents-screen.css"
import { lazy, Suspense, useEffect, useRef } from "react"
import { DocumentList } from "./document-list.tsx"
import { NothingOpen } from "./nothing-open.tsx"

const DocumentPage = lazy(async () => ({ default: (await import("./document-page.tsx")).DocumentPage }))

/** List and page side by side where there is room, otherwise one at a time. */
export function DocumentsScreen({ id }: { readonly id: string | null }) {
  useKeptFocus(id)
  return (
    <div className="documents" data-open={id === null ? undefined : ""}>
      <DocumentList openId={id} />
      <section className="page" aria-label={id === null ? "No document open" : "Document"}>
        {id === null ? (
          <NothingOpen />
        ) : (
          <Suspense>
            <DocumentPage key={id} id={id} />
          </Suspense>
        )}
      </section>
    </div>
  )
}

/** An element that disappears with the page or the list takes the focus with it, and Tab would begin anew. */
function useKeptFocus(id: string | null): void {
  const shown = useRef(id)
  useEffect(() => {
    if (shown.current === id) return
    shown.current = id
    // A list that is hidden keeps the focus until the next frame.
    const frame = requestAnimationFrame(() => {
      if (document.activeElement === document.body) document.querySelector<HTMLElement>("#main")?.focus()
    })
    return () => cancelAnimationFrame(frame)
  }, [id])
}
