import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { expect, test } from "vitest"
import { ROOT } from "./run-step.ts"

const LINK = /\]\(([^)\s]+)\)/g

test("links between pages and into the repository lead somewhere", () => {
  const pages = execFileSync("git", ["ls-files", "*.md"], { cwd: ROOT, encoding: "utf8" }).trim().split("\n")
  const broken = pages.flatMap((page) =>
    linksOf(join(ROOT, page))
      .filter((target) => !existsSync(join(ROOT, dirname(page), target)))
      .map((target) => `${page}: ${target}`),
  )
  expect(broken).toEqual([])
})

function linksOf(path: string): readonly string[] {
  if (!existsSync(path)) return []
  const links = [...readFileSync(path, "utf8").matchAll(LINK)].map(([, target = ""]) => target)
  return links.filter((target) => !/^([a-z]+:|#)/.test(target)).map((target) => target.replace(/#.*$/, ""))
}
