import { useEffect } from "react"

/**
 * An element that disappears takes the focus with it: Tab would then begin at the top of the page, and a screen reader
 * falls silent. The focus goes to the content instead.
 */
export function useKeptFocus(): void {
  useEffect(() => {
    let last: Element | null = null
    let frame: number | null = null
    const ending = new AbortController()
    const { signal } = ending

    function look(): void {
      frame = null
      if (last === null || document.activeElement !== document.body) return
      if (last.isConnected && last.checkVisibility()) return
      last = null
      document.querySelector<HTMLElement>("#main")?.focus()
    }

    // A hidden element keeps the focus until the next frame, and some screens move it on by themselves.
    const watch = new MutationObserver(() => {
      if (last !== null) frame ??= requestAnimationFrame(() => (frame = requestAnimationFrame(look)))
    })
    watch.observe(document.body, { childList: true, subtree: true, attributeFilter: ["data-open", "open"] })
    document.addEventListener("focusin", ({ target }) => (last = target as Element), { signal })
    // Whoever points beside everything has let go of the focus.
    document.addEventListener("pointerdown", () => (last = null), { signal, capture: true })
    return () => {
      ending.abort()
      watch.disconnect()
      if (frame !== null) cancelAnimationFrame(frame)
    }
  }, [])
}
