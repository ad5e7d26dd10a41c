import { cp, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Host, startHost } from "@dunlin/host"
import { serveWorkspace, type StaticServer } from "../../apps/workspace/server/static-server.ts"
import { builtWorkspace } from "./workspace-build.ts"

/** The workspace as `npm start` serves it, with a host that a test can stop. It has been built before. */
export interface WorkspaceServer {
  readonly url: string
  /** Kills the signaling host; the page stays served. */
  stopSignaling(): Promise<void>
  startSignaling(): Promise<void>
  close(): Promise<void>
}

export async function startWorkspaceServer(): Promise<WorkspaceServer> {
  let host: Host | null = await startHost({
    port: 0,
    operationsPort: "off",
    logLevel: "silent",
    maxLoopLagMs: 60_000,
  })
  const port = host.port
  // A copy, so that another test run cannot remove a page's files while it uses them.
  const root = await mkdtemp(join(tmpdir(), "dunlin-workspace-"))
  await cp(builtWorkspace, root, { recursive: true })
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
