import { useSync } from "../room/use-sync.ts"
import { Link } from "wouter"

/** The one line that says whether the data is safe, and where. */
export function SyncLine({ compact = false }: { readonly compact?: boolean }) {
  const words = useSync()
  return (
    <Link href="/people" className="sync-line" title={words.long}>
      <span className={`dot ${words.tone}`} />
      <span data-testid="sync" className={compact ? "visually-hidden" : undefined}>
        {words.short}
      </span>
    </Link>
  )
}
