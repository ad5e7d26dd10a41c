import { expect, test } from "vitest"
import { decodeCursor, encodeCursor, withOverlap } from "./collection-cursor.ts"

const cursor = { store: "a", rows: { id: "x", lwt: 100_000 }, records: null, scannedAt: 100_001 }

test("a scan goes back only as far as commits may have come late", () => {
  // Scanned amid writes: some of the last five seconds may not have been committed yet.
  expect(withOverlap(cursor.rows, 100_001)).toEqual({ id: "", lwt: 95_001 })
  // Scanned in a pause: a restart reads nothing again, however much was written at once.
  expect(withOverlap(cursor.rows, 105_000)).toEqual(cursor.rows)
  expect(withOverlap({ sequence: 7 }, 0)).toEqual({ sequence: 7 })
  expect(withOverlap(undefined, 0)).toBeUndefined()
})

test("a cursor is for its own store, and for a clock that was not set back", () => {
  const bytes = encodeCursor(cursor)
  expect(decodeCursor(bytes, "a", 100_000)).toEqual(cursor)
  expect(decodeCursor(bytes, "b", 100_000)).toBeNull()
  expect(decodeCursor(bytes, "a", 90_000)).toBeNull()
  expect(decodeCursor(Uint8Array.of(1, 2, 3), "a", 100_000)).toBeNull()
})
