import { Notice } from "../ui/notice.tsx"

export function FailScreen({ reason }: { readonly reason: string }) {
  return (
    <main className="centre">
      <h1 className="serif-title">The workspace did not open</h1>
      <Notice tone="bad" title="The data on this device could not be read.">
        <p>
          Nothing was deleted. Reload the page; if that does not help, close other tabs of this site, which
          may hold an older version open, and try again.
        </p>
        <p className="soft">
          <code>{reason.slice(0, 300)}</code>
        </p>
        <div className="notice-actions">
          <button type="button" className="button primary" onClick={() => location.reload()}>
            Reload
          </button>
        </div>
      </Notice>
    </main>
  )
}
