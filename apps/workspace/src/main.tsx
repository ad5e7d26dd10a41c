import "@fontsource-variable/inter/wght.css"
import "@fontsource-variable/source-serif-4/wght.css"
import "./styles/tokens.css"
import "./styles/base.css"
import "./styles/parts.css"
import "./styles/layout.css"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { App } from "./app.tsx"
import { keepAppOffline } from "./device/offline-app.ts"
import { applyTheme } from "./device/theme.ts"
import { startWorkspace } from "./workspace/start.ts"
import { takeInvite } from "./workspace/invite-link.ts"

const invite = takeInvite()
const demo = new URLSearchParams(location.search).get("demo") === "split"
applyTheme()
const root = document.querySelector("#root")
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App demo={demo} />
    </StrictMode>,
  )
}
if (!demo) void startWorkspace(invite)
void keepAppOffline()
