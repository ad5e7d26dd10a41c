import { useLayoutEffect, useRef } from "react"

/** Whether the component is still on the page: somebody who went elsewhere while it waited is not to be taken back. */
export function useIsShown(): () => boolean {
  const shown = useRef(false)
  // A layout effect ends when the component is hidden: it stays, out of sight, while the code of the next screen loads.
  useLayoutEffect(() => {
    shown.current = true
    return () => {
      shown.current = false
    }
  }, [])
  return () => shown.current
}
