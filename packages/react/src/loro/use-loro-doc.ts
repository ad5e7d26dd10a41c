import type { DocumentStatus, LoroDocument, LoroDocuments } from "@dunlin/loro"
import type { LoroDoc } from "loro-crdt"
import { useEffect, useReducer, useState } from "react"
import { useStateValue } from "../use-state-value.ts"

/** The state of a document: it may take a moment, be deleted by somebody, or fail to open. */
export type LoroDocState =
  | { readonly status: "loading" }
  | {
      readonly status: "open"
      /** Another object after a fault inside Loro, so list it among the dependencies of effects. */
      readonly doc: LoroDoc
      readonly document: LoroDocument
    }
  | { readonly status: "deleted"; readonly retry: () => void }
  /** Retries by itself when the document changes, such as when another device sends what could not be read here. */
  | { readonly status: "failed"; readonly error: unknown; readonly retry: () => void }

type Opened =
  | { readonly documents: LoroDocuments; readonly id: string; readonly document: LoroDocument }
  | { readonly documents: LoroDocuments; readonly id: string; readonly error: unknown }

const CLOSED: DocumentStatus = { phase: "closed" }

/** Opens a document for as long as the component lives; without documents, as before the room is open, it waits. */
export function useLoroDoc(documents: LoroDocuments | null | undefined, id: string): LoroDocState {
  const [opened, setOpened] = useState<Opened | null>(null)
  const [attempt, retry] = useReducer((count: number) => count + 1, 0)
  useEffect(() => {
    if (documents === null || documents === undefined) return
    const controller = new AbortController()
    const again = (): void => {
      if (!controller.signal.aborted) retry()
    }
    // What cannot be read may arrive from another device or tab, even while it is being opened.
    let hasFailed = false
    let hasChanged = false
    const stopHearing = documents.subscribe((event) => {
      if (event.id !== id) return
      hasChanged = true
      if (hasFailed) again()
    })
    const opening = documents.open(id, { signal: controller.signal })
    opening.then(
      (document) => {
        if (controller.signal.aborted) return
        setOpened({ documents, id, document })
        // The document was closed under us. Opening it again brings it back or says why not.
        document.status.subscribe(({ phase }) => phase === "closed" && again())
        if (document.status.get().phase === "closed") again()
      },
      (error: unknown) => {
        if (controller.signal.aborted) return
        setOpened({ documents, id, error })
        hasFailed = true
        if (hasChanged) again()
      },
    )
    return () => {
      controller.abort()
      stopHearing()
      setOpened(null)
      void opening.then((document) => document.close()).catch(() => undefined)
    }
  }, [documents, id, attempt])

  const current = opened?.documents === documents && opened?.id === id ? opened : null
  const document = current !== null && "document" in current ? current.document : null
  // Read for its changes, since `document.doc` may be another object after each.
  const { phase } = useStateValue(document?.status ?? null, CLOSED)
  if (current === null) return { status: "loading" }
  if ("error" in current) return { status: "failed", error: current.error, retry }
  if (phase === "deleted") return { status: "deleted", retry }
  if (phase === "closed") return { status: "loading" }
  return { status: "open", doc: current.document.doc, document: current.document }
}
