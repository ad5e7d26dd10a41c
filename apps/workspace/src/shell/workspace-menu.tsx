import { useStateValue } from "@dunlin/react"
import { Icon, Mark } from "../ui/icon.tsx"
import { Menu } from "../ui/menu.tsx"
import { registry } from "../workspace/registry.ts"
import { addWorkspace, switchWorkspace } from "../workspace/start.ts"
import { showOverlay } from "./overlay.ts"
import { useWorkspace } from "../workspace/workspace-context.ts"

export function WorkspaceMenu() {
  const { id } = useWorkspace()
  const { workspaces } = useStateValue(registry, registry.get())
  const name = workspaces.find((entry) => entry.id === id)?.name ?? "Workspace"
  return (
    <Menu
      label={`Workspace: ${name}. Switch or add`}
      className="workspace-button"
      button={
        <>
          <Mark />
          <span>{name}</span>
        </>
      }
      items={[
        ...workspaces.map((entry) => ({
          label: entry.name,
          icon: entry.id === id ? <Icon name="check" /> : <span className="icon-space" />,
          run: () => entry.id !== id && void switchWorkspace(entry),
        })),
        "line" as const,
        { label: "New workspace", icon: <Icon name="plus" />, run: () => void addWorkspace() },
        { label: "Join with a link…", icon: <Icon name="link" />, run: () => showOverlay("join") },
      ]}
    />
  )
}
