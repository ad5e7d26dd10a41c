import { useStateValue } from "@dunlin/react"
import { Link, useLocation } from "wouter"
import { Icon } from "../ui/icon.tsx"
import { Menu } from "../ui/menu.tsx"
import { showOverlay } from "./overlay.ts"
import { screenMenu } from "./screen-menu.ts"
import { SyncLine } from "./sync-line.tsx"
import { WorkspaceMenu } from "./workspace-menu.tsx"

/** Narrow screens only: the workspace, the state of sync, search, and one menu with the screen's items and the rest. */
export function TopBar() {
  const [location, navigate] = useLocation()
  const items = useStateValue(screenMenu, [])
  const inside = location.startsWith("/documents/")
  return (
    <header className="top">
      {inside ? (
        <Link href="/documents" className="icon-button" aria-label="Back to documents">
          <Icon name="back" />
        </Link>
      ) : (
        <WorkspaceMenu />
      )}
      <span className="top-space" />
      <SyncLine compact />
      <button
        type="button"
        className="icon-button"
        aria-label="Search"
        onClick={() => showOverlay("palette")}
      >
        <Icon name="search" />
      </button>
      <Menu
        label="More"
        button={<Icon name="more" />}
        className="icon-button top-menu"
        items={[
          ...items,
          ...(items.length > 0 ? (["line"] as const) : []),
          { label: "Share…", icon: <Icon name="share" />, run: () => showOverlay("share") },
          { label: "Settings", icon: <Icon name="settings" />, run: () => navigate("/settings") },
        ]}
      />
    </header>
  )
}
