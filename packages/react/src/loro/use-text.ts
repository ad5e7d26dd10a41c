import type { LoroDoc } from "loro-crdt"
import { useCallback, type RefCallback } from "react"

export function useText(doc: LoroDoc, container: string): { readonly ref: RefCallback<HTMLTextAreaElement> } {
  return { ref: useCallback((element: HTMLTextAreaElement | null) => { if (element) element.value = doc.getText(container).toString() }, [doc, container]) }
}
