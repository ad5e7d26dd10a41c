import { usePresence, useRoom, useStateValue } from "@dunlin/react"
import type { LoroDoc } from "loro-crdt"
import { useMemo } from "react"
import { profile, type Profile } from "../device/profile.ts"
import { readPerson } from "../people/person.ts"
import { readTextPeople } from "./text-people.ts"

export interface Writer extends Profile {
  readonly self: boolean
}

/** Tells who an author in the history is: oneself, somebody who is here, or somebody the document knows. */
export function useWriters(doc: LoroDoc): (author: string) => Writer {
  const room = useRoom()
  const own = useStateValue(profile, profile.get())
  const { others } = usePresence()
  return useMemo(() => {
    const people = new Map(readTextPeople(doc))
    for (const entry of others.values())
      if (entry.device !== null) people.set(entry.device, readPerson(entry, 0))
    // If there can be no room, everything was written on this device.
    if (room !== null) people.set(room.device, own)
    return (author) => ({
      ...(people.get(author) ?? (room === null ? own : { name: "Someone", hue: 7 })),
      self: room === null ? !people.has(author) : author === room.device,
    })
  }, [doc, room, own, others])
}
