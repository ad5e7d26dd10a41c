import { useSyncExternalStore } from "react"
import { relativeTime } from "./relative-time.ts"

const READ_AGAIN_MS = 10_000
const EXACT = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" })

/** How long ago something was. The words change while they are shown, and the exact time is their tooltip. */
export function Ago({ at }: { readonly at: number }) {
  const words = useSyncExternalStore(everyMoment, () => relativeTime(at))
  if (words === "") return null
  return (
    <time dateTime={new Date(at).toISOString()} title={EXACT.format(at)}>
      {words}
    </time>
  )
}

function everyMoment(onChange: () => void): () => void {
  const timer = setInterval(onChange, READ_AGAIN_MS)
  return () => clearInterval(timer)
}
