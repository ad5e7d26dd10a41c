import { useLayoutEffect, useRef } from "react"

/** Whether the component is still shown: somebody who left while it waited must not be taken back. */
export function useIsShown(): () => boolean {
  const shown = useRef(false)
  // A layout effect also ends when the component is only hidden, while the code of the next screen loads.
  useLayoutEffect(() => {
    shown.current = true
    return () => {
      shown.current = false
    }
  }, [])
  return () => shown.current
}
