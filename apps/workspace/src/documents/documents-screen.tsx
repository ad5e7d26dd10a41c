import "./documents-screen.css"
import { lazy, Suspense } from "react"
import { DocumentList } from "./document-list.tsx"
import { NothingOpen } from "./nothing-open.tsx"

const DocumentPage = lazy(async () => ({ default: (await import("./document-page.tsx")).DocumentPage }))

/** List and page side by side where there is room, otherwise one at a time. */
export function DocumentsScreen({ id }: { readonly id: string | null }) {
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
