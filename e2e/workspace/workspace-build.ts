import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { cp, readdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const app = fileURLToPath(new URL("../../apps/workspace/", import.meta.url))
const dist = join(app, "dist")
/** What tests serve. It is a copy, because `npm start`, which is tested alongside, builds again. */
export const builtWorkspace: string = fileURLToPath(new URL("../../.cache/workspace/", import.meta.url))

/** Runs once before all test files: two simultaneous builds would leave half of each. */
export async function setup(): Promise<void> {
  await buildIfStale()
  await rm(builtWorkspace, { recursive: true, force: true })
  await cp(dist, builtWorkspace, { recursive: true })
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
  // In a separate process: the test runner's environment would make it a development build.
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
