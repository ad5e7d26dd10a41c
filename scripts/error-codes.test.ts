import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { ROOT } from "./run-step.ts"

/** It ends a link, and only an application that implements a replica meets it. */
const INTERNAL = "DecodeError"
const TABLE_ROW = /^\| `(\w+Error)`[^|]*\| (.+) \|$/gm
const CODE_UNION = /export type (\w+Error)Code =\n((?: +[|/"].*\n)+)/g

test("the guide lists every error class once, with every code and no other", () => {
  const guide = readFileSync(join(ROOT, "docs/guides/troubleshooting.md"), "utf8")
  const listed = [...guide.matchAll(TABLE_ROW)]
  const codes = codesInPackages()
  expect(listed.map(([, name]) => name).toSorted()).toEqual(
    [...codes.keys()].filter((name) => name !== INTERNAL).toSorted(),
  )
  for (const [, name = "", cells = ""] of listed) {
    const guided = [...cells.matchAll(/`([a-z-]+)`/g)].map(([, code]) => code)
    expect([name, ...guided.toSorted()]).toEqual([name, ...(codes.get(name) ?? []).toSorted()])
  }
})

test("a comment above each code explains it: declarations and the reference have no other comments", () => {
  const unexplained = [...unionsInPackages()].flatMap(([name, union]) => {
    const lines = union.split("\n")
    return lines
      .filter((line, at) => /^ +(\| )?"/.test(line) && lines[at - 1]?.endsWith("*/") !== true)
      .map((line) => `${name}: ${line.trim()}`)
  })
  expect(unexplained).toEqual([])
})

/** The codes of each class. */
function codesInPackages(): ReadonlyMap<string, readonly string[]> {
  return new Map(
    [...unionsInPackages()].map(([name, members]) => [
      name,
      [...members.matchAll(/^ +(?:\| )?"([a-z-]+)"/gm)].map(([, code = ""]) => code),
    ]),
  )
}

/** The source of each `export type XErrorCode`, by the name of the class. */
function unionsInPackages(): ReadonlyMap<string, string> {
  const files = execFileSync("git", ["ls-files", "packages/*/src/**.ts"], { cwd: ROOT, encoding: "utf8" })
  const unions = new Map<string, string>()
  for (const file of files.trim().split("\n")) {
    if (!existsSync(join(ROOT, file))) continue
    for (const [union, name = ""] of readFileSync(join(ROOT, file), "utf8").matchAll(CODE_UNION))
      unions.set(name, union)
  }
  return unions
}
