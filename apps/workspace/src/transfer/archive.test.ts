import { strToU8, zipSync } from "fflate"
import { describe, expect, it } from "vitest"
import { readDocument, readTask } from "../data/entries.ts"
import { ArchiveError, packArchive, unpackArchive, type PortableDocument } from "./archive.ts"

const document = (id: string, title: string, body: string): PortableDocument => ({
  entry: readDocument({ id, title, tags: ["a"], created: 1, updated: 2, archived: false, editor: "Ada" }),
  body,
  description: "d",
  language: "en",
})

const codeOf = (bytes: Uint8Array): string => {
  try {
    unpackArchive(bytes)
    return "read"
  } catch (error) {
    return error instanceof ArchiveError ? error.code : String(error)
  }
}

describe("archives", () => {
  it("come back as they were, whatever the titles", () => {
    const documents = [
      document("d1", "../../etc/passwd", "# One\n\nÄ 🐦"),
      document("d2", "", ""),
      document("d3", "../../etc/passwd", "same title"),
      document("d4", "__proto__", "x"),
    ]
    const tasks = [readTask({ id: "t1", title: "Do", column: "doing", rank: "a0", created: 1, updated: 1 })]
    const all = { documents, tasks, quickNote: "Keys are at the harbour office." }
    expect(unpackArchive(packArchive(all))).toEqual(all)
  })

  it("say what is wrong with a file", () => {
    expect(codeOf(strToU8("hello"))).toBe("not-a-zip")
    expect(codeOf(zipSync({ "readme.md": strToU8("x") }))).toBe("no-index")
    expect(codeOf(zipSync({ "workspace.json": strToU8("{") }))).toBe("no-index")
    expect(codeOf(zipSync({ "workspace.json": strToU8("null") }))).toBe("no-index")
    expect(codeOf(zipSync({ "big.md": new Uint8Array(21_000_000) }, { level: 9 }))).toBe("too-large")
  })

  it("do not unpack one file for document after document", () => {
    const documents = Array.from({ length: 40 }, () => ({ title: "again", file: "big.md" }))
    const index = strToU8(JSON.stringify({ documents }))
    expect(codeOf(zipSync({ "workspace.json": index, "big.md": new Uint8Array(10_000_000) }))).toBe(
      "too-large",
    )
  })

  it("survive an index of nonsense", () => {
    const documents = [1, null, { title: 5, tags: "x", file: 7 }, { file: "__proto__" }, { file: "toString" }]
    const index = { documents, tasks: { a: 1 } }
    const read = unpackArchive(zipSync({ "workspace.json": strToU8(JSON.stringify(index)) }))
    expect(read.documents.map(({ body }) => body)).toEqual(["", "", ""])
    expect(read.tasks).toEqual([])
  })
})
