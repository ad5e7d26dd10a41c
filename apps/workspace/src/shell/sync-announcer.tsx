import { useEffect, useState } from "react"
import type { SyncWords } from "../room/sync-words.ts"
import { useSync } from "../room/use-sync.ts"

/**
 * How long a state must last before it is announced. While somebody types, changes go out and arrive several times a
 * second; a screen reader that said so would never stop.
 */
const ANNOUNCED_AFTER_MS: Readonly<Record<SyncWords["tone"], number>> = {
  bad: 0,
  calm: 3_000,
  good: 3_000,
  busy: 20_000,
}

/** Tells those who do not see the sync line when the state of sync has changed for longer than a moment. */
export function SyncAnnouncer() {
  const { short, tone } = useSync()
  const [announced, announce] = useState("")
  useEffect(() => {
    const timer = setTimeout(() => announce(short), ANNOUNCED_AFTER_MS[tone])
    return () => clearTimeout(timer)
  }, [short, tone])
  return (
    <div role="status" className="visually-hidden" data-testid="announced">
      {announced}
    </div>
  )
}
