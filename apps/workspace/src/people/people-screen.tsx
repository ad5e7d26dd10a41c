import "./people.css"
import { useStateValue } from "@dunlin/react"
import { useSync } from "../room/use-sync.ts"
import { showOverlay } from "../shell/overlay.ts"
import { Icon } from "../ui/icon.tsx"
import { Notice } from "../ui/notice.tsx"
import { useWorkspace } from "../workspace/workspace-context.ts"
import { MergedChanges } from "./merged-changes.tsx"
import { PersonRow } from "./person-row.tsx"
import { RecentEvents } from "./recent-events.tsx"
import { useEveryone } from "./use-everyone.ts"

export function PeopleScreen() {
  const { session } = useWorkspace()
  const everyone = useEveryone()
  const words = useSync()
  const paused = useStateValue(session.cable.cut, false)
  const incompatible = everyone.some(({ facts }) => facts !== null && facts.incompatible.length > 0)
  return (
    <div className="screen people">
      <header className="screen-head">
        <h1 className="serif-title">People</h1>
        <MergedChanges kind="all" />
      </header>
      <div className="people-sync">
        <span className={`dot ${words.tone}`} />
        <div>
          <p>
            <strong>{words.short}</strong>
          </p>
          <p className="soft">{words.long}</p>
        </div>
        <button type="button" className="button" aria-pressed={paused} onClick={() => session.cable.setCut(!paused)}>
          {!paused && <Icon name="pause" size={16} />}
          {paused ? "Resume sync" : "Pause sync"}
        </button>
      </div>
      {incompatible && (
        <Notice tone="warn" title="Someone here uses another version of this app.">
          <p>
            Their changes wait until both sides have the same version; nothing is lost meanwhile. Reload the page on both
            devices to update.
          </p>
        </Notice>
      )}
      <ul className="persons" aria-label="Who is here">
        {everyone.map((person) => <PersonRow key={person.session} person={person} />)}
      </ul>
      {everyone.length === 1 && !paused && (
        <div className="alone">
          <p className="soft">Nobody else is connected. Everything works alone; others catch up when you meet.</p>
          <button type="button" className="button primary" onClick={() => showOverlay("share")}>
            <Icon name="share" size={16} />
            Invite someone
          </button>
        </div>
      )}
      <RecentEvents />
    </div>
  ) // prettier-ignore
}
