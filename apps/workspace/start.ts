import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { startHost } from "@dunlin/host"
import { build } from "vite"
import { serveWorkspace } from "./server/static-server.ts"

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, "dist")
const say = (text: string): void => void process.stdout.write(`${text}\n`)

const skipBuild = process.argv.includes("--no-build") && existsSync(join(root, "index.html"))
if (!skipBuild) {
  say("Building the workspace…")
  await build({ root: here, configFile: join(here, "vite.config.ts"), logLevel: "error" })
}
// Serves only this machine, and must not turn its own page away while the machine is busy.
const host = await startHost({ port: 0, logLevel: "silent", operationsPort: "off", maxLoopLagMs: 10_000 })
const server = await serveWorkspace({ root, signaling: host.url, port: Number(process.env["PORT"] ?? 0) })

say(`
  Dunlin is running at  ${server.url}

  Open it, press Share, and open the invite link in a second browser or a private window:
  what you write in one appears in the other. Two devices on one screen: ${server.url}?demo=split

  Ctrl+C stops it. Your data stays in the browser.
`)

let stopping = false
async function stop(): Promise<void> {
  if (stopping) return
  stopping = true
  await server.close()
  await host.close()
  process.exit(0)
}
process.on("SIGINT", () => void stop())
process.on("SIGTERM", () => void stop())
