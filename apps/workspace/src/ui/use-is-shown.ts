import { useEffect, useRef } from "react"

/** Whether the component is still on the page: somebody who went elsewhere while it waited is not to be taken back. */
export function useIsShown(): () => boolean {
  const shown = useRef(false)
  useEffect(() => {
    shown.current = true
    return () => {
      shown.current = false
    }
  }, [])
  return () => shown.current
}
