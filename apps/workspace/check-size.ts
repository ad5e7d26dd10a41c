import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

/** What Vite's manifest says about one built module. */
interface BuiltModule {
  readonly file: string
  readonly css?: readonly string[]
  readonly imports?: readonly string[]
}

interface Budget {
  readonly name: string
  readonly entries: readonly string[]
  /** Already loaded by then, so not counted again. */
  readonly after: readonly string[]
  readonly limitBytes: number
}

const SHELL = ["index.html"]
const NETWORK = ["src/room/connect.ts"]
const BUDGETS: readonly Budget[] = [
  { name: "shell: all that the first screen needs", entries: SHELL, after: [], limitBytes: 230_000 },
  { name: "network code, loaded once the screen shows", entries: NETWORK, after: SHELL, limitBytes: 50_000 },
  {
    name: "editor route: editor and Loro, without its WASM",
    entries: ["src/documents/document-page.tsx", "src/room/loro-engine.ts"],
    after: [...SHELL, ...NETWORK],
    limitBytes: 190_000,
  },
]

const dist = join(dirname(fileURLToPath(import.meta.url)), "dist")
const manifestPath = join(dist, ".vite/manifest.json")
if (!existsSync(manifestPath)) throw new Error("Build the workspace first: npx vite build")
const modules = JSON.parse(readFileSync(manifestPath, "utf8")) as Readonly<Record<string, BuiltModule>>

for (const { name, entries, after, limitBytes } of BUDGETS) {
  const before = filesOf(after)
  const bytes = [...filesOf(entries)]
    .filter((file) => !before.has(file))
    .reduce((sum, file) => sum + gzipped(file), 0)
  const verdict = bytes <= limitBytes ? "within" : "OVER"
  process.stdout.write(
    `${name}: ${Math.round(bytes / 1_000)} kB gzip, ${verdict} its ${limitBytes / 1_000} kB\n`,
  )
  if (bytes > limitBytes) process.exitCode = 1
}

/** The entries and everything that they import statically: what the browser must load before they run. */
function filesOf(entries: readonly string[]): ReadonlySet<string> {
  const files = new Set<string>()
  const seen = new Set<string>()
  const visit = (key: string): void => {
    if (seen.has(key)) return
    seen.add(key)
    const found = modules[key]
    if (found === undefined) throw new Error(`The build has no module ${key}: correct the budgets`)
    for (const file of [found.file, ...(found.css ?? [])]) files.add(file)
    for (const imported of found.imports ?? []) visit(imported)
  }
  for (const entry of entries) visit(entry)
  return files
}

function gzipped(file: string): number {
  return gzipSync(readFileSync(join(dist, file)), { level: 9 }).length
}
