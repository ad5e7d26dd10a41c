import { LoroDoc } from "loro-crdt"
import { expect, test } from "vitest"

import { createDocumentHistory } from "./document-history.ts"

/** Three authors who now and then hear of each other, and edit every kind of container. */
function edited(): LoroDoc {
  const docs = [1, 2, 3].map((peer) => {
    const doc = new LoroDoc()
    doc.setPeerId(`${peer}`)
    doc.setChangeMergeInterval(0)
    doc.configTextStyle({ bold: { expand: "after" } })
    return doc
  })
  for (let round = 0; round < 24; round++) {
    for (const [at, doc] of docs.entries()) {
      const text = doc.getText("body")
      text.insert((round * (at + 3)) % (text.length + 1), `${at}${round} `)
      if (round % 4 === at) text.mark({ start: 0, end: 2 }, "bold", round)
      if (round % 5 === at) text.delete(0, 1)
      doc.getMap("map").set(`key ${round % 3}`, `${at}`)
      doc.getMovableList("list").push(round)
      if (round % 6 === at) doc.getTree("tree").createNode()
      doc.commit({ timestamp: round * 100 })
      const other = docs[(at + round) % 3]
      if (round % 3 === 0 && other !== undefined) doc.import(other.export({ mode: "update" }))
    }
  }
  const [first, ...others] = docs as [LoroDoc, ...LoroDoc[]]
  for (const other of others) first.import(other.export({ mode: "update" }))
  return first
}

const emptyRoots = { _dunlin: {}, body: "", map: {}, list: [], tree: [] }

test("a version is what Loro says it is, read-only, and leaves the document where it is", () => {
  const doc = edited()
  const history = createDocumentHistory(() => doc)
  const versions = [...history.list().map(({ version }) => version), doc.frontiers()]
  expect(versions.length).toBeGreaterThan(40)
  for (const version of versions) {
    const [past, fork] = [history.at(version), doc.forkAt([...version])]
    // The fork also has the roots of the document that were empty then.
    expect({ ...emptyRoots, ...past.toJSON() }).toEqual({ ...emptyRoots, ...fork.toJSON() })
    expect(past.getText("body").toDelta()).toEqual(fork.getText("body").toDelta())
    expect(past.frontiers()).toEqual(fork.frontiers())
    expect(() => past.getText("body").insert(0, "x")).toThrow()
    past.free()
    fork.free()
  }
  expect(doc.isDetached()).toBe(false)
  expect(history.at([]).toJSON()).toEqual({})
})

test("of a version that the document does not know there is no copy", () => {
  const doc = edited()
  expect(() => createDocumentHistory(() => doc).at([{ peer: "9", counter: 5 }])).toThrow(
    "Frontiers not found",
  )
})
