import { Link, useLocation } from "wouter"
import { useEveryone } from "../people/use-everyone.ts"
import { Avatars } from "../ui/avatars.tsx"
import { Icon } from "../ui/icon.tsx"
import { showOverlay } from "./overlay.ts"
import { SECTIONS } from "./sections.ts"
import { SyncLine } from "./sync-line.tsx"
import { shownKeys } from "./shortcuts.ts"
import { WorkspaceMenu } from "./workspace-menu.tsx"

export function SideBar() {
  const [location] = useLocation()
  return (
    <nav className="side" aria-label="Workspace">
      <WorkspaceMenu />
      <button type="button" className="search-button" onClick={() => showOverlay("palette")}>
        <Icon name="search" size={16} />
        <span>Search</span>
        <kbd>{shownKeys("Ctrl K")}</kbd>
      </button>
      <ul>
        {[...SECTIONS, { path: "/settings", name: "Settings", icon: "settings" as const }].map((section) => (
          <li key={section.path}>
            <Link href={section.path} aria-current={location.startsWith(section.path) ? "page" : undefined}>
              <Icon name={section.icon} />
              {section.name}
            </Link>
          </li>
        ))}
      </ul>
      <div className="side-foot">
        <Here />
        <button type="button" className="button" onClick={() => showOverlay("share")}>
          <Icon name="share" size={16} />
          Share
        </button>
        <SyncLine />
      </div>
    </nav>
  )
}

const SHOWN = 5

function Here() {
  const everyone = useEveryone()
  return (
    <Link href="/people" className="here" aria-label={`${everyone.length} here: ${everyone.map((one) => one.name).join(", ")}`}>
      <span className="avatars">
        <Avatars people={everyone} most={SHOWN} />
      </span>
      <span className="soft numbers" data-testid="here">
        {everyone.length} here
      </span>
    </Link>
  ) // prettier-ignore
}
