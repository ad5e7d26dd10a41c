import { type ReactNode, useEffect, useState } from "react"
import { Mark } from "../ui/icon.tsx"

/** Databases open at once, or wait for another tab that holds them; no browser says for how long. */
const SLOW_MS = 8_000

/** Shown while the database opens. */
export function OpeningScreen() {
  return (
    <main className="centre late" aria-busy="true">
      <h1 className="visually-hidden">Dunlin</h1>
      <Patience
        what="Opening your workspace…"
        whenSlow="This takes longer than it should. Another tab of this site may hold the data: close the others, and reload."
      />
    </main>
  )
}

/** Shown while a part of the application is fetched. */
export function LoadingScreen() {
  return (
    <div className="centre late" aria-busy="true">
      <Patience
        what="Loading…"
        whenSlow="This part of the application has not loaded yet. Check the network connection, then reload."
      />
    </div>
  )
}

/** What is being done, and later what to do. The style of `late` shows it only if it takes longer than a blink. */
function Patience({ what, whenSlow }: { readonly what: ReactNode; readonly whenSlow: ReactNode }) {
  const [isSlow, setSlow] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), SLOW_MS)
    return () => clearTimeout(timer)
  }, [])
  return (
    <>
      <Mark size={44} />
      <p className="soft">{what}</p>
      <div role="status">
        {isSlow && (
          <>
            <p>{whenSlow}</p>
            <button type="button" className="button" onClick={() => location.reload()}>
              Reload
            </button>
          </>
        )}
      </div>
    </>
  )
}
