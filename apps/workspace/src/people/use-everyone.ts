import { usePeers, usePresence, useRoom, useStateValue, useSyncStatus } from "@dunlin/react"
import { useMemo, useRef } from "react"
import { profile } from "../device/profile.ts"
import { useWorkspace } from "../workspace/workspace-context.ts"
import { connectedPeople, readPerson, type ConnectedPerson, type PeerFacts, type Person } from "./person.ts"

export interface PersonHere extends Person {
  readonly self: boolean
  /** Null for oneself. */
  readonly facts: PeerFacts | null
}

/** Oneself first, then everybody who is connected. */
export function useEveryone(): readonly PersonHere[] {
  const room = useRoom()
  const own = useStateValue(profile, profile.get())
  const others = useOthers()
  return useMemo(() => {
    const self: Person = {
      session: room?.session ?? "self",
      name: own.name,
      hue: own.hue,
      document: null,
      clockAheadMs: null,
    }
    return [{ ...self, self: true, facts: null }, ...others.map((other) => ({ ...other, self: false }))]
  }, [room, own, others])
}

/** Who is connected to this browser, through this tab or through the tab that holds the connections. */
export function useOthers(): readonly ConnectedPerson[] {
  const { session } = useWorkspace()
  const isFollower = useSyncStatus()?.tab === "follower"
  const told = useStateValue(session.otherTabs.people, [])
  const peers = usePeers()
  const people = usePresentPeople()
  const mine = useMemo(() => connectedPeople(peers, people), [peers, people])
  return isFollower ? told : mine
}

/** What the others show of themselves, by session id. */
export function usePeople(): ReadonlyMap<string, Person> {
  const others = useOthers()
  return useMemo(() => new Map(others.map((person) => [person.session, person])), [others])
}

/** Cached by reference, so that a clock is compared when its presence arrives, not later. */
function usePresentPeople(): ReadonlyMap<string, Person> {
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
