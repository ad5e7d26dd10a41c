import { Mark } from "../ui/icon.tsx"

/** Shown for the blink in which the database opens; appears only when that takes longer than a blink. */
export function OpeningScreen() {
  return (
    <main className="centre late" aria-busy="true">
      <Mark size={44} />
      <h1 className="visually-hidden">Dunlin</h1>
      <p className="soft">Opening your workspace…</p>
    </main>
  )
}
