import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { cp, mkdtemp, readdir, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { type Host, startHost } from "@dunlin/host"
import { serveWorkspace, type StaticServer } from "../../apps/workspace/server/static-server.ts"

const app = fileURLToPath(new URL("../../apps/workspace/", import.meta.url))
const dist = join(app, "dist")

/** The workspace as `npm start` serves it, with a host that a test can take away. */
export interface WorkspaceServer {
  readonly url: string
  /** Kills the signaling host; the page stays served. */
  stopSignaling(): Promise<void>
  startSignaling(): Promise<void>
  close(): Promise<void>
}

export async function startWorkspaceServer(): Promise<WorkspaceServer> {
  await buildIfStale()
  let host: Host | null = await startHost({
    port: 0,
    operationsPort: "off",
    logLevel: "silent",
    maxLoopLagMs: 60_000,
  })
  const port = host.port
  // A copy: whoever builds meanwhile must not take a page's files away from under it.
  const root = await mkdtemp(join(tmpdir(), "dunlin-workspace-"))
  await cp(dist, root, { recursive: true })
  const server: StaticServer = await serveWorkspace({ root, signaling: host.url, port: 0 })
  return {
    url: server.url,
    async stopSignaling() {
      await host?.close()
      host = null
    },
    async startSignaling() {
      host ??= await startHost({ port, operationsPort: "off", logLevel: "silent", maxLoopLagMs: 60_000 })
    },
    async close() {
      await server.close()
      await host?.close()
      await rm(root, { recursive: true, force: true })
    },
  }
}

async function buildIfStale(): Promise<void> {
  const index = join(dist, "index.html")
  const builtAt = existsSync(index) ? (await stat(index)).mtimeMs : 0
  const sources = [
    join(app, "src"),
    ...["core", "rxdb", "loro", "react"].map((name) => join(app, `../../packages/${name}/src`)),
  ]
  const changed = await Promise.all(sources.map(newestIn))
  if (Math.max(...changed) < builtAt) return
  // In a process of its own: the test runner's environment would make it a development build.
  const vite = join(app, "../../node_modules/vite/bin/vite.js")
  const env = { ...process.env, NODE_ENV: "production" }
  await promisify(execFile)(process.execPath, [vite, "build", "--logLevel", "error"], { cwd: app, env })
}

async function newestIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && !entry.name.includes(".test."))
  const times = await Promise.all(
    files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).mtimeMs),
  )
  return Math.max(0, ...times)
}
