import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { PLANTED_BUGS } from "./planted-bugs.ts"

test.each(PLANTED_BUGS.flatMap(({ name, mutation }) => (mutation === undefined ? [] : [{ name, mutation }])))(
  "the code that $name changes is there, once",
  ({ mutation: { file, find } }) => {
    const source = readFileSync(new URL(`../packages/core/src/${fileOf(file)}`, import.meta.url), "utf8")
    expect(source.split(find)).toHaveLength(2)
  },
)

/** A mutation names the end of a path. */
function fileOf(file: string): string {
  return file.startsWith("register/") ? `protocol/${file}` : file
}
