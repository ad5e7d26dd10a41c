import { expect, test } from "vitest"
import { foreignLines } from "./repository-text.ts"

test.each([
  ["const folder = '/home/ada/project'", "path of one machine"],
  ["cd /work/tree", "path of one machine"],
  ["C:\\Users\\ada", "path of one machine"],
  ['"resolved": "https://somewhere.example/x.tgz"', "registry address in the lockfile"],
  ["https://registry.example.org/x", "registry host"],
  ["registry = x", "registry setting"],
])("%s is foreign", (line, reason) => {
  expect(foreignLines("file.ts", `fine\n${line}`)).toEqual([{ file: "file.ts", line: 2, text: line, reason }])
})

test("addresses and paths of the repository are fine", () => {
  expect(
    foreignLines("file.ts", "wss://signal.example.org\npackages/core/src/room/room.ts\n./work/x"),
  ).toEqual([])
})
