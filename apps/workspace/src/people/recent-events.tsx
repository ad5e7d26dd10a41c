import type { Diagnostic, TransportReport } from "@dunlin/core"
import { useRoom } from "@dunlin/react"
import { useEffect, useState } from "react"
import { cleanName } from "../device/profile.ts"

const SHOWN = 40
const TIME = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
})

/** "Why is it not syncing?": what the room noticed lately, in words. */
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
          <span>{eventWords(event)}</span>
        </li>
      ))}
    </ol>
  )
}

export function eventWords(event: Diagnostic): string {
  switch (event.type) {
    case "transport":
      return transportWords(event.transport, event.report)
    case "replica":
      return `${event.replica}: ${event.report.reason}`
    case "stage":
      return `${short(event.peer)}: ${event.stage} ${event.outcome} after ${Math.round(event.elapsedMs)} ms${event.detail ? `, ${event.detail}` : ""}`
    case "link-opened":
      return `${short(event.peer)}: connected (${event.path})`
    case "link-closed":
      return `${short(event.peer)}: left, ${event.reason}`
    case "violation":
      return `${short(event.peer)}: broke the protocol (${event.code})`
    case "reconciled":
      return `${short(event.peer)}: ${event.replica} compared, ${event.sent} sent and ${event.received} received in ${Math.round(event.elapsedMs)} ms`
    case "refused":
      return `${short(event.peer)}: ${event.replica} refused by ${event.by}: ${event.reason}`
    case "warning":
      return `${event.code}: ${event.detail}`
  }
}

function transportWords(transport: string, report: TransportReport): string {
  switch (report.type) {
    case "signaling":
      return `Signaling server: ${report.state}${report.detail ? `, ${report.detail}` : ""}`
    case "stage":
      return `${short(report.remote)}: ${report.stage} ${report.outcome}${report.detail ? `, ${report.detail}` : ""}`
    case "room-full":
      return `The room is full: ${report.count} of ${report.limit}`
    case "warning":
      return `${transport}: ${report.detail}`
  }
}

function short(peer: string): string {
  return cleanName(peer).slice(0, 6)
}
