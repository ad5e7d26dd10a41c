import { usePeers, usePresence, useRoom, useStateValue } from "@dunlin/react"
import type { Peer } from "@dunlin/core"
import { useMemo, useRef } from "react"
import { profile } from "../device/profile.ts"
import { readPerson, type Person } from "./person.ts"

export interface PersonHere extends Person {
  readonly self: boolean
  /** Null for oneself. */
  readonly peer: Peer | null
}

/** Oneself first, then every connected peer, with what it shows of itself. */
export function useEveryone(): readonly PersonHere[] {
  const room = useRoom()
  const own = useStateValue(profile, profile.get())
  const peers = usePeers()
  const people = usePeople()
  return useMemo(() => {
    const self: PersonHere = { session: room?.session ?? "self", name: own.name, hue: own.hue, document: null, clockAheadMs: null, self: true, peer: null }
    const others = peers
      .filter((peer) => peer.stage === "live" || peer.stage === "reconcile")
      .map((peer): PersonHere => {
        const person = people.get(peer.session) ?? { session: peer.session, name: "Connecting…", hue: 7, document: null, clockAheadMs: null }
        return { ...person, self: false, peer }
      })
    return [self, ...others]
  }, [room, own, peers, people])
} // prettier-ignore

/** The others by session id. Kept by reference, so that a clock is compared when a presence comes, not later. */
export function usePeople(): ReadonlyMap<string, Person> {
  const { others } = usePresence()
  const read = useRef(new WeakMap<object, Person>())
  return useMemo(() => {
    const people = new Map<string, Person>()
    for (const entry of others.values()) {
      const known = read.current.get(entry.value) ?? readPerson(entry, Date.now())
      read.current.set(entry.value, known)
      people.set(entry.session, known)
    }
    return people
  }, [others])
}
