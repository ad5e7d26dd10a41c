import { Link } from "wouter"
import { documentPath } from "../shell/paths.ts"
import { Ago } from "../ui/ago.tsx"
import { Avatar } from "../ui/avatar.tsx"
import { useDocuments } from "../workspace/workspace-context.ts"
import { clockWords, type PeerFacts } from "./person.ts"
import type { PersonHere } from "./use-everyone.ts"

const CONNECTIONS = {
  tab: "another tab of this browser",
  direct: "direct",
  relayed: "through a relay",
  memory: "in this page",
  custom: "in another way",
} as const satisfies Readonly<Record<PeerFacts["path"], string>>

export function PersonRow({ person }: { readonly person: PersonHere }) {
  const title = useDocuments()?.find((document) => document.id === person.document)?.title
  const clock = clockWords(person.clockAheadMs)
  return (
    <li className="person" data-self={person.self ? "" : undefined}>
      <Avatar name={person.name} hue={person.hue} />
      <div className="person-text">
        <p>
          <strong dir="auto">{person.name}</strong>
          {person.self && <span className="soft"> (you, this browser)</span>}
        </p>
        {person.document !== null && title !== undefined && (
          <p className="soft">
            in{" "}
            <Link href={documentPath(person.document)} dir="auto">
              {title || "Untitled"}
            </Link>
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
        {person.facts !== null && person.facts.refused > 0 && (
          <p className="person-clock">
            {person.facts.refused === 1 ? "One change stays" : `${person.facts.refused} changes stay`} on this
            device: too large to be sent, or not taken there.
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
        <dt>Connection</dt>
        <dd>{CONNECTIONS[path]}</dd>
      </div>
      <div>
        <dt>Answers in</dt>
        <dd>{rttMs === null ? "–" : `${Math.max(1, Math.round(rttMs))} ms`}</dd>
      </div>
      <div>
        <dt>On the way</dt>
        <dd>{pending === 0 ? "nothing" : `${pending} ${pending === 1 ? "change" : "changes"}`}</dd>
      </div>
      <div>
        <dt>Up to date</dt>
        <dd>{lastSyncedAt === null ? "not yet" : <Ago at={lastSyncedAt} />}</dd>
      </div>
    </dl>
  )
}
