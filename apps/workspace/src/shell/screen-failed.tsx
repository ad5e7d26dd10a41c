import { useEffect } from "react"
import { Notice } from "../ui/notice.tsx"
import { toast } from "../ui/toasts.tsx"
import { showOverlay } from "./overlay.ts"

const reload = (): void => location.reload()

/** In place of a screen that threw. */
export function ScreenFailed({ reason }: { readonly reason: string }) {
  return (
    <div className="screen">
      <header className="screen-head">
        <h1 className="serif-title">Something went wrong</h1>
      </header>
      <Notice tone="bad" title="This screen could not be shown.">
        <p>Nothing was deleted, and the other screens work. Reload the page to try again.</p>
        <p className="soft">
          <code>{reason.slice(0, 300)}</code>
        </p>
        <div className="notice-actions">
          <button type="button" className="button primary" onClick={reload}>
            Reload
          </button>
        </div>
      </Notice>
    </div>
  )
}

/** In place of a dialog that threw: there is nothing to lie over the screen. */
export function OverlayFailed() {
  useEffect(() => {
    toast("That could not be shown. Reload the page to try again.", { label: "Reload", run: reload })
    showOverlay(null)
  }, [])
  return null
}
