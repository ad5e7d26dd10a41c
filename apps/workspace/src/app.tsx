import { RoomProvider, useStateValue } from "@dunlin/react"
import { lazy, Suspense } from "react"
import { Router } from "wouter"
import { useHashLocation } from "wouter/use-hash-location"
import { Shell } from "./shell/shell.tsx"
import { FailScreen } from "./shell/fail-screen.tsx"
import { LoadingScreen, OpeningScreen } from "./shell/opening-screen.tsx"
import { Toasts } from "./ui/toasts.tsx"
import { appPhase } from "./workspace/start.ts"
import { WorkspaceContext } from "./workspace/workspace-context.ts"
import type { Workspace } from "./workspace/workspace.ts"

const SplitDemo = lazy(async () => ({ default: (await import("./demo/split-demo.tsx")).SplitDemo }))

export function App({ demo }: { readonly demo: boolean }) {
  const phase = useStateValue(appPhase, { type: "opening" })
  if (demo) {
    return (
      <Suspense fallback={<LoadingScreen />}>
        <SplitDemo />
      </Suspense>
    )
  }
  return (
    <Router hook={useHashLocation}>
      {phase.type === "opening" && <OpeningScreen />}
      {phase.type === "failed" && <FailScreen reason={phase.reason} />}
      {phase.type === "open" && <OpenWorkspace key={phase.workspace.id} workspace={phase.workspace} />}
      <Toasts />
    </Router>
  )
}

function OpenWorkspace({ workspace }: { readonly workspace: Workspace }) {
  const room = useStateValue(workspace.session.room, { type: "opening" })
  return (
    <WorkspaceContext value={workspace}>
      <RoomProvider room={room.type === "open" ? room.room : null}>
        <Shell />
      </RoomProvider>
    </WorkspaceContext>
  )
}
