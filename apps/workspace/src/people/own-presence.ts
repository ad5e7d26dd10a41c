import { useRoom, useStateValue } from "@dunlin/react"
import { useEffect } from "react"
import { documentAt } from "../shell/paths.ts"
import { HUE_COLORS, profile } from "../device/profile.ts"

const CLOCK_EVERY_MS = 20_000

/** Tells the others who is here and which document is open. The editor adds the caret itself. */
export function useShowOwnPresence(location: string): void {
  const room = useRoom()
  const { name, hue } = useStateValue(profile, profile.get())
  const document = documentAt(location)
  useEffect(() => {
    if (room === null) return
    room.presence.setField("name", name)
    room.presence.setField("hue", hue)
    room.presence.setField("color", HUE_COLORS[hue])
    room.presence.setField("document", document)
  }, [room, name, hue, document])
  useEffect(() => {
    if (room === null) return
    // Lets others notice a clock that is off; nothing depends on it.
    const tell = (): void => room.presence.setField("clock", Date.now())
    tell()
    const timer = setInterval(tell, CLOCK_EVERY_MS)
    return () => clearInterval(timer)
  }, [room])
}
