import { useStateValue } from "@dunlin/react"
import { lazy, type ReactNode, Suspense } from "react"
import { Redirect, Route, Switch, useLocation } from "wouter"
import { DocumentsScreen } from "../documents/documents-screen.tsx"
import { useIsAwaited, useNoteArrival } from "../documents/use-is-awaited.ts"
import { useShowOwnPresence } from "../people/own-presence.ts"
import { LoadingScreen } from "./opening-screen.tsx"
import { type Overlay, overlay, showOverlay } from "./overlay.ts"
import { PageTitle } from "./page-title.tsx"
import { readId } from "./paths.ts"
import { ScreenBoundary } from "./screen-boundary.tsx"
import { OverlayFailed, ScreenFailed } from "./screen-failed.tsx"
import { SideBar } from "./side-bar.tsx"
import { SyncAnnouncer } from "./sync-announcer.tsx"
import { TabBar } from "./tab-bar.tsx"
import { TopBar } from "./top-bar.tsx"
import { Troubles } from "./troubles.tsx"
import { useShortcuts } from "./shortcuts.ts"
import { useKeptFocus } from "./use-kept-focus.ts"

const BoardScreen = lazy(async () => ({ default: (await import("../board/board-screen.tsx")).BoardScreen }))
const NoteScreen = lazy(async () => ({ default: (await import("../note/note-screen.tsx")).NoteScreen }))
const PeopleScreen = lazy(async () => ({
  default: (await import("../people/people-screen.tsx")).PeopleScreen,
}))
const SettingsScreen = lazy(async () => ({ default: (await import("../settings/settings-screen.tsx")).SettingsScreen })) // prettier-ignore
const Palette = lazy(async () => ({ default: (await import("../palette/palette.tsx")).Palette }))
const ShareDialog = lazy(async () => ({ default: (await import("../share/share-dialog.tsx")).ShareDialog }))
const JoinDialog = lazy(async () => ({ default: (await import("../share/join-dialog.tsx")).JoinDialog }))
const ShortcutsDialog = lazy(async () => ({ default: (await import("./shortcuts-dialog.tsx")).ShortcutsDialog })) // prettier-ignore

const screenFailed = (reason: string): ReactNode => <ScreenFailed reason={reason} />
const overlayFailed = (): ReactNode => <OverlayFailed />

export function Shell() {
  const [location] = useLocation()
  const section = location.split("/")[1] ?? ""
  useShortcuts()
  useKeptFocus()
  useShowOwnPresence(location)
  return (
    <div
      className="shell"
      data-section={section}
      data-detail={location.split("/").length > 2 ? "" : undefined}
    >
      <a className="skip" href="#main" onClick={focusMain}>
        Skip to content
      </a>
      <PageTitle />
      <ArrivalWatch />
      <SideBar />
      <TopBar />
      <main id="main" tabIndex={-1}>
        <Troubles />
        <ScreenBoundary shown={location} failed={screenFailed}>
          <Suspense fallback={<LoadingScreen />}>
            <Switch>
              <Route path="/documents/:id?">
                {({ id }) => <DocumentsScreen id={id === undefined ? null : readId(id)} />}
              </Route>
              <Route path="/board/:id?">
                {({ id }) => <BoardScreen taskId={id === undefined ? null : readId(id)} />}
              </Route>
              <Route path="/note">
                <NoteScreen />
              </Route>
              <Route path="/people">
                <PeopleScreen />
              </Route>
              <Route path="/settings">
                <SettingsScreen />
              </Route>
              <Route>
                <Redirect to="/documents" replace />
              </Route>
            </Switch>
          </Suspense>
        </ScreenBoundary>
      </main>
      <TabBar />
      <SyncAnnouncer />
      <Overlays />
    </div>
  )
}

/** A part of its own, since it is drawn again whenever a caret moves. */
function ArrivalWatch() {
  return useIsAwaited() ? <AwaitedArrival /> : null
}

function AwaitedArrival() {
  useNoteArrival()
  return null
}

function Overlays() {
  const shown = useStateValue(overlay, null)
  return (
    <ScreenBoundary shown={shown ?? ""} failed={overlayFailed}>
      <Suspense>
        <ShownOverlay shown={shown} />
      </Suspense>
    </ScreenBoundary>
  )
}

function ShownOverlay({ shown }: { readonly shown: Overlay }) {
  const close = (): void => showOverlay(null)
  if (shown === "palette") return <Palette onClose={close} />
  if (shown === "share") return <ShareDialog onClose={close} />
  if (shown === "join") return <JoinDialog onClose={close} />
  if (shown === "shortcuts") return <ShortcutsDialog onClose={close} />
  return null
}

/** The fragment of a skip link would be taken for a route. */
function focusMain(event: React.MouseEvent): void {
  event.preventDefault()
  document.querySelector<HTMLElement>("#main")?.focus()
}
