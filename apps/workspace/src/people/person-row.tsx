import { Link } from "wouter"
import { documentPath } from "../shell/paths.ts"
import { Avatar } from "../ui/avatar.tsx"
import { relativeTime } from "../ui/relative-time.ts"
import { useDocuments } from "../workspace/workspace-context.ts"
import { clockWords, type PeerFacts } from "./person.ts"
import type { PersonHere } from "./use-everyone.ts"

const PATHS = {
  tab: "another tab of this browser",
  direct: "direct",
  relayed: "relayed",
  memory: "this page",
  custom: "custom",
} as const satisfies Readonly<Record<PeerFacts["path"], string>>

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
            in <Link href={documentPath(person.document)}>{title || "Untitled"}</Link>
          </p>
        )}
        {clock !== null && (
          <p className="person-clock">
            This device’s clock is {clock} of yours. Merging does not depend on clocks; times shown may be
            off.
          </p>
        )}
        {person.facts !== null && person.facts.incompatible.length > 0 && (
          <p className="person-clock">
            Another version of this app: {person.facts.incompatible.join(", ")} wait for an update.
          </p>
        )}
      </div>
      {person.facts !== null && <Facts facts={person.facts} />}
    </li>
  )
}

function Facts({ facts }: { readonly facts: PeerFacts }) {
  const { path, rttMs, pending, lastSyncedAt } = facts
  return (
    <dl className="facts numbers">
      <div>
        <dt>Path</dt>
        <dd>{PATHS[path]}</dd>
      </div>
      <div>
        <dt>Round trip</dt>
        <dd>{rttMs === null ? "–" : `${Math.max(1, Math.round(rttMs))} ms`}</dd>
      </div>
      <div>
        <dt>Pending</dt>
        <dd>{pending}</dd>
      </div>
      <div>
        <dt>Last equal</dt>
        <dd>{lastSyncedAt === null ? "not yet" : relativeTime(lastSyncedAt)}</dd>
      </div>
    </dl>
  )
}
