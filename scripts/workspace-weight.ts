import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { gzipSync } from "node:zlib"

export interface Weight {
  readonly name: string
  readonly bytes: number
  readonly limit: number
}

const FIRST_SCREEN_LIMIT = 230_000
const EDITOR_LIMIT = 190_000
const STATIC_IMPORT = /(?:from|import)\s*"\.\/([\w.-]+\.js)"/g

/** JavaScript that the first screen waits for, and what the editor adds to it; without Loro's WASM. */
export async function weighWorkspace(dist: string): Promise<readonly Weight[]> {
  const page = await readFile(join(dist, "index.html"), "utf8")
  const entries = [...page.matchAll(/(?:src|href)="\/assets\/([\w.-]+\.js)"/g)].flatMap(
    ([, name]) => name ?? [],
  )
  const assets = join(dist, "assets")
  const editor = (await readdir(assets)).filter(
    (name) => name.startsWith("document-page-") && name.endsWith(".js"),
  )
  const first = await withImports(assets, entries)
  const added = new Set([...(await withImports(assets, editor))].filter((name) => !first.has(name)))
  return [
    { name: "workspace, first screen", bytes: await gzipped(assets, first), limit: FIRST_SCREEN_LIMIT },
    { name: "workspace, editor", bytes: await gzipped(assets, added), limit: EDITOR_LIMIT },
  ]
}

async function withImports(assets: string, entries: readonly string[]): Promise<ReadonlySet<string>> {
  if (entries.length === 0) throw new Error("The built workspace has no such chunk.")
  const found = new Set(entries)
  // A set that grows while it is gone through is gone through to its end.
  for (const name of found) {
    const code = await readFile(join(assets, name), "utf8")
    for (const [, imported] of code.matchAll(STATIC_IMPORT)) if (imported !== undefined) found.add(imported)
  }
  return found
}

async function gzipped(assets: string, names: ReadonlySet<string>): Promise<number> {
  let bytes = 0
  for (const name of names) bytes += gzipSync(await readFile(join(assets, name)), { level: 9 }).length
  return bytes
}
