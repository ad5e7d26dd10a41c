import { useEffect, useState } from "react"
import { Mark } from "../ui/icon.tsx"

/** Databases open in a blink, or wait for another tab that holds them: for how long, no browser says. */
const SLOW_MS = 8_000

/** While the database opens or a screen is loaded. Its style shows it only when that takes longer than a blink. */
export function OpeningScreen() {
  const [isSlow, setSlow] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), SLOW_MS)
    return () => clearTimeout(timer)
  }, [])
  return (
    <main className="centre late" aria-busy="true">
      <Mark size={44} />
      <h1 className="visually-hidden">Dunlin</h1>
      <p className="soft">Opening your workspace…</p>
      <div role="status">
        {isSlow && (
          <>
            <p>
              This takes longer than it should. Another tab of this site may hold the data: close the others,
              and reload.
            </p>
            <button type="button" className="button" onClick={() => location.reload()}>
              Reload
            </button>
          </>
        )}
      </div>
    </main>
  )
}
