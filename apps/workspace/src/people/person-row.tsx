import type { Peer } from "@dunlin/core"
import { Link } from "wouter"
import { Avatar } from "../ui/avatar.tsx"
import { relativeTime } from "../ui/relative-time.ts"
import { useDocuments } from "../workspace/workspace-context.ts"
import { clockWords } from "./person.ts"
import type { PersonHere } from "./use-everyone.ts"

const PATHS = {
  tab: "another tab of this browser",
  direct: "direct",
  relayed: "relayed",
  memory: "this page",
  custom: "custom",
} as const satisfies Readonly<Record<Peer["path"], string>>

export function PersonRow({ person }: { readonly person: PersonHere }) {
  const title = useDocuments()?.find((document) => document.id === person.document)?.title
  const clock = clockWords(person.clockAheadMs)
  return (
    <li className="person" data-self={person.self ? "" : undefined}>
      <Avatar name={person.name} hue={person.hue} />
      <div className="person-text">
        <p>
          <strong>{person.name}</strong>
          {person.self && <span className="soft"> (you, this browser)</span>}
        </p>
        {person.document !== null && title !== undefined && (
          <p className="soft">
            in <Link href={`/documents/${person.document}`}>{title || "Untitled"}</Link>
          </p>
        )}
        {clock !== null && (
          <p className="person-clock">
            This device’s clock is {clock} of yours. Merging does not depend on clocks; times shown may be off.
          </p>
        )}
        {person.peer !== null && <Incompatible peer={person.peer} />}
      </div>
      {person.peer !== null && <PeerFacts peer={person.peer} />}
    </li>
  )
}

function PeerFacts({ peer }: { readonly peer: Peer }) {
  const pending = peer.pendingIn + peer.pendingOut
  return (
    <dl className="facts numbers">
      <div>
        <dt>Path</dt>
        <dd>{PATHS[peer.path]}</dd>
      </div>
      <div>
        <dt>Round trip</dt>
        <dd>{peer.rttMs === null ? "–" : `${Math.max(1, Math.round(peer.rttMs))} ms`}</dd>
      </div>
      <div>
        <dt>Pending</dt>
        <dd>{pending}</dd>
      </div>
      <div>
        <dt>Last equal</dt>
        <dd>{peer.lastSyncedAt === null ? "not yet" : relativeTime(peer.lastSyncedAt)}</dd>
      </div>
    </dl>
  )
}

function Incompatible({ peer }: { readonly peer: Peer }) {
  const names = [...peer.replicas].filter(([, link]) => link.phase === "incompatible").map(([name]) => name)
  if (names.length === 0) return null
  return <p className="person-clock">Another version of this app: {names.join(", ")} wait for an update.</p>
}
