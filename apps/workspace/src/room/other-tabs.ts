import { createState, type Room, type State } from "@dunlin/core"
import { connectedPeople, readPerson, type ConnectedPerson } from "../people/person.ts"

/** One tab of a browser holds the connections, and tells the other tabs who is there. */
export interface OtherTabs {
  /** As seen by the tab that holds the connections; only useful in a follower. */
  readonly people: State<readonly ConnectedPerson[]>
  follow(room: Room): void
  close(): void
}

type Message =
  | { readonly type: "ask" }
  | { readonly type: "people"; readonly people: readonly ConnectedPerson[] }

const TELL_AFTER_MS = 150

export function createOtherTabs(name: string): OtherTabs {
  const people = createState<readonly ConnectedPerson[]>([])
  const channel = new BroadcastChannel(name)
  const ends: (() => void)[] = []
  let timer: ReturnType<typeof setTimeout> | null = null

  const post = (message: Message): void => channel.postMessage(message)

  function follow(room: Room): void {
    const tell = (): void => {
      timer = null
      if (room.status.get().tab !== "holder") return
      const now = Date.now()
      const present = [...room.presence.others.get().values()].map((entry) => readPerson(entry, now))
      const byId = new Map(present.map((person) => [person.session, person]))
      post({ type: "people", people: connectedPeople(room.peers.get(), byId) })
    }
    const tellSoon = (): void => void (timer ??= setTimeout(tell, TELL_AFTER_MS))
    channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
      if (data.type === "ask") tellSoon()
      else people.set(data.people)
    })
    ends.push(room.peers.subscribe(tellSoon), room.presence.others.subscribe(tellSoon))
    ends.push(
      room.status.subscribe(
        ({ tab }) => tab === "follower" && people.get().length === 0 && post({ type: "ask" }),
      ),
    )
    post({ type: "ask" })
  }

  return {
    people,
    follow,
    close() {
      for (const end of ends) end()
      if (timer !== null) clearTimeout(timer)
      channel.close()
    },
  }
}
