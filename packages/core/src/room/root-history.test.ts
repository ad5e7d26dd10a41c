import { describe, expect, test } from "vitest"
import { createRootHistory } from "./root-history.ts"

const bytes = (value: number): Uint8Array => new Uint8Array(16).fill(value)

describe("a root history", () => {
  test("tells what changed since a root that others were told of, the newest first and once", () => {
    const history = createRootHistory()
    history.changed(bytes(1))
    history.told(bytes(100))
    history.changed(bytes(2))
    history.changed(bytes(3))
    history.changed(bytes(2))
    history.told(bytes(101))
    expect(history.since(bytes(100))).toEqual([bytes(2), bytes(3)])
    expect(history.since(bytes(101))).toEqual([])
    expect(history.since(bytes(102))).toBeNull()
  })

  test("remembers of a device where that was, not where this side is", () => {
    const history = createRootHistory()
    history.told(bytes(100))
    history.agreed("d1", bytes(200))
    expect(history.basisFor("d1")).toEqual(bytes(200))
    expect(history.basisFor("d2")).toBeNull()
    // Nobody was told that this side is at the other's root.
    expect(history.since(bytes(200))).toBeNull()
  })

  test("forgets roots, changes and devices beyond its bounds, and knows that it did", () => {
    const history = createRootHistory()
    const numbered = (value: number): Uint8Array => {
      const root = new Uint8Array(16)
      new DataView(root.buffer).setUint32(0, value)
      return root
    }
    history.told(numbered(0))
    for (let n = 1; n <= 1_024; n++) history.told(numbered(n))
    expect([history.since(numbered(0)), history.since(numbered(1))]).toEqual([null, []])
    for (let n = 0; n <= 8_192; n++) history.changed(numbered(n))
    expect(history.since(numbered(1_024))).toBeNull()
    history.told(numbered(1_025))
    for (let n = 0; n < 7_000; n++) history.changed(numbered(n))
    expect(history.since(numbered(1_025))?.length).toBe(7_000)
    for (let n = 0; n <= 256; n++) history.agreed(`d${n}`, numbered(n))
    expect([history.basisFor("d0"), history.basisFor("d1")]).toEqual([null, numbered(1)])
  })
})
