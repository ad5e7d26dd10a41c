import { execFile } from "node:child_process"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"

export interface ForeignText {
  readonly file: string
  readonly line: number
  readonly text: string
  readonly reason: string
}

/** Text that belongs to one machine and not to a repository. */
const FOREIGN: readonly { readonly pattern: RegExp; readonly reason: string }[] = [
  { pattern: /(?<![\w.])\/(home|Users|root|work)\/[\w.-]+/, reason: "path of one machine" },
  { pattern: /\b[A-Z]:\\(Users|Program)/i, reason: "path of one machine" },
  { pattern: /"resolved": *"http/, reason: "registry address in the lockfile" },
  { pattern: /https?:\/\/[\w.-]*(registry|artifact|nexus|verdaccio)[\w.-]*/i, reason: "registry host" },
  { pattern: /^ *registry *=/m, reason: "registry setting" },
]

/** Binary files, and the two files that must name what they look for. */
const SPARED = /\.(png|ico|woff2?|gz|bin|wasm|jpg|webp)$|^scripts\/repository-text(\.test)?\.ts$/

/** Searches every file that git knows. */
export async function findForeignText(root: string): Promise<readonly ForeignText[]> {
  const { stdout } = await promisify(execFile)("git", ["ls-files", "-z"], { cwd: root, maxBuffer: 1 << 26 })
  const found: ForeignText[] = []
  for (const file of stdout.split("\0")) {
    if (file === "" || SPARED.test(file)) continue
    // A file that git knows may be gone from the folder.
    const content = await readFile(join(root, file), "utf8").catch(() => "")
    found.push(...foreignLines(file, content))
  }
  return found
}

export function foreignLines(file: string, content: string): readonly ForeignText[] {
  if (!FOREIGN.some(({ pattern }) => pattern.test(content))) return []
  return content.split("\n").flatMap((text, index) => {
    const foreign = FOREIGN.find(({ pattern }) => pattern.test(text))
    return foreign === undefined
      ? []
      : [{ file, line: index + 1, text: text.trim().slice(0, 120), reason: foreign.reason }]
  })
}
