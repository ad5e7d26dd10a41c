import type { Diagnostic } from "@dunlin/core"
import { useRoom } from "@dunlin/react"
import { useEffect, useState } from "react"
import { eventWords } from "./event-words.ts"
import { usePeople } from "./use-everyone.ts"

const SHOWN = 40
const TIME = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
})

/** "Why is it not syncing?": what the room noticed lately, for whoever has to find out. */
export function RecentEvents() {
  const [open, setOpen] = useState(false)
  return (
    <details className="events" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>What happened lately</summary>
      {open && <Events />}
    </details>
  )
}

function Events() {
  const room = useRoom()
  const people = usePeople()
  const [events, setEvents] = useState<readonly Diagnostic[]>([])
  useEffect(() => {
    if (room === null) return
    const read = (): void => setEvents(room.diagnostics.recent().slice(-SHOWN).toReversed())
    read()
    // Bursts come with every reconnect; once a second is enough to read.
    let timer: ReturnType<typeof setTimeout> | null = null
    const end = room.diagnostics.subscribe(() => {
      timer ??= setTimeout(() => {
        timer = null
        read()
      }, 1_000)
    })
    return () => {
      end()
      if (timer !== null) clearTimeout(timer)
    }
  }, [room])
  if (events.length === 0) return <p className="soft">Nothing yet.</p>
  return (
    <ol>
      {events.map((event, index) => (
        <li key={`${event.at}-${index}`}>
          <time className="soft numbers">{TIME.format(event.at)}</time>
          <span>{eventWords(event, (session) => people.get(session)?.name)}</span>
        </li>
      ))}
    </ol>
  )
}
