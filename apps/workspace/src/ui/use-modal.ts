import { type RefObject, useLayoutEffect, useRef } from "react"

/** A ref for a `<dialog>` that is modal for as long as it is rendered. */
export function useModal(): RefObject<HTMLDialogElement | null> {
  const dialog = useRef<HTMLDialogElement>(null)
  // Only a dialog that is still in the document returns the focus when it closes.
  useLayoutEffect(() => {
    const element = dialog.current
    if (element && !element.open) element.showModal()
    return () => element?.close()
  }, [])
  return dialog
}
