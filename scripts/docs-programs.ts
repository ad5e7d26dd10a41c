import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** The servers that the pages name. To run the programs, a real server is put in their place. */
export const NAMED_SERVERS: RegExp = /wss:\/\/signal\.example\.org|ws:\/\/localhost:8787(?=")/g

/**
 * A program in a Markdown page: a fence that starts with ```ts or ```tsx, and the ```ts continues fences after it.
 *
 * | fence | meaning |
 * |---|---|
 * | ```ts | compiles |
 * | ```ts run | compiles, and runs in Node to its end |
 * | ```ts page | compiles, and bundles for a page |
 * | ```ts continues | goes on with the program before it |
 */
export interface DocsProgram {
  /** Path of the page from the root of the repository. */
  readonly page: string
  /** Line of its first fence. */
  readonly line: number
  /** For instance `getting-started-1`; unique over all pages. */
  readonly name: string
  readonly kind: "compiles" | "runs" | "page"
  readonly language: "ts" | "tsx"
  readonly code: string
}

const FENCE = /^```(ts|tsx)(?:[ \t]+(\w+))?[ \t]*\n([^]*?)^```[ \t]*$/gm
const KINDS: ReadonlyMap<string | undefined, DocsProgram["kind"]> = new Map([
  [undefined, "compiles"],
  ["run", "runs"],
  ["page", "page"],
])

/** Every program in README.md, the guides, and the packages' own pages. */
export function readDocsPrograms(root: string): readonly DocsProgram[] {
  const guides = readdirSync(join(root, "docs/guides")).filter((name) => name.endsWith(".md"))
  const packages = readdirSync(join(root, "packages")).map((name) => `packages/${name}/README.md`)
  const pages = [
    "README.md",
    ...guides.toSorted().map((name) => `docs/guides/${name}`),
    ...packages.filter((page) => existsSync(join(root, page))).toSorted(),
  ]
  return pages.flatMap((page) => programsOf(page, readFileSync(join(root, page), "utf8")))
}

export function programsOf(page: string, markdown: string): readonly DocsProgram[] {
  const programs: DocsProgram[] = []
  const named = page.replace(/^packages\/(.*)\/README\.md$/, "package-$1")
  const base = named.replace(/^.*\//, "").replace(/\.md$/, "").toLowerCase()
  for (const match of markdown.matchAll(FENCE)) {
    const [, language, word, code = ""] = match
    const line = markdown.slice(0, match.index).split("\n").length
    const last = programs.at(-1)
    if (word === "continues") {
      if (last === undefined) throw new Error(`${page}:${line}: there is no program to continue.`)
      programs[programs.length - 1] = { ...last, code: `${last.code}\n${code}` }
      continue
    }
    const kind = KINDS.get(word)
    if (kind === undefined) throw new Error(`${page}:${line}: "ts ${word}" means nothing here.`)
    programs.push({
      page,
      line,
      name: `${base}-${programs.length + 1}`,
      kind,
      language: language === "tsx" ? "tsx" : "ts",
      code,
    })
  }
  return programs
}
