import fc from "fast-check"
import { LoroDoc, VersionVector, type PeerID } from "loro-crdt"
import { describe, expect, test } from "vitest"
import { groupIntoSteps, PAUSE_MS, TOGETHER_MS, type HistoryStep, type Stretch } from "./history-steps.ts"
import { NOTE_MESSAGE } from "./text-people.ts"
import { readStretches } from "./versions.ts"

const MINUTE = 60_000

/** Adds a stretch by `author`, who has seen the last one of each author in `seen`. */
function createScript() {
  const stretches: Stretch[] = []
  const ends = new Map<string, { counter: number; lamport: number }>()
  return {
    stretches,
    write(author: string, at: number, seen: readonly string[] = [], kind: Stretch["kind"] = "edit"): void {
      const own = ends.get(author) ?? { counter: 0, lamport: 0 }
      const before = [author, ...seen].flatMap((peer) => {
        const end = ends.get(peer)
        return end === undefined ? [] : [{ peer, counter: end.counter - 1, lamport: end.lamport }]
      })
      const lamport = Math.max(0, ...before.map((dep) => dep.lamport))
      // As Loro reports them: the author's own last edit is left out if there is another dependency.
      const deps = before.filter(({ peer }) => seen.length === 0 || peer !== author)
      stretches.push({ peer: author, author, counter: own.counter, length: 5, lamport, at, deps, kind })
      ends.set(author, { counter: own.counter + 5, lamport: lamport + 5 })
    },
  }
}

const told = (steps: readonly HistoryStep[]): readonly string[] =>
  steps.map(({ authors, from, to }) => `${authors.join("+")} ${from / MINUTE}-${to / MINUTE}`)

describe("steps of a history", () => {
  test("end with a pause", () => {
    const { stretches, write } = createScript()
    for (const minute of [1, 2, 3, 6, 20, 21]) write("ada", minute * MINUTE)
    expect(told(groupIntoSteps(stretches))).toEqual(["ada 1-6", "ada 20-21"])
  })

  test("end where somebody else writes on what was written", () => {
    const { stretches, write } = createScript()
    write("ada", 1 * MINUTE)
    write("ben", 2 * MINUTE, ["ada"])
    write("ada", 3 * MINUTE, ["ben"])
    expect(told(groupIntoSteps(stretches))).toEqual(["ada 1-1", "ben 2-2", "ada 3-3"])
  })

  test("stay whole where two wrote apart from each other", () => {
    const { stretches, write } = createScript()
    for (const minute of [1, 2, 3, 4]) {
      write("ada", minute * MINUTE)
      write("ben", minute * MINUTE + 1_000)
    }
    write("ada", 5 * MINUTE, ["ben"])
    expect(groupIntoSteps(stretches).map(({ authors, stretches: parts }) => [authors, parts.length])).toEqual(
      [
        [["ada"], 4],
        [["ben"], 4],
        [["ada"], 1],
      ],
    )
  })

  test("are shared by those who type at the very same time", () => {
    const { stretches, write } = createScript()
    for (let second = 0; second < 60; second += 2) {
      write("ada", MINUTE + second * 1_000, ["ben"])
      write("ben", MINUTE + second * 1_000 + 1_000, ["ada"])
    }
    write("ada", 2 * MINUTE + TOGETHER_MS + 1_000, ["ben"])
    write("ben", 30 * MINUTE, ["ada"])
    const steps = groupIntoSteps(stretches)
    expect(steps.map(({ authors }) => authors)).toEqual([["ada", "ben"], ["ben"]])
  })

  test("a restored version stands by itself", () => {
    const { stretches, write } = createScript()
    write("ada", MINUTE)
    write("ada", MINUTE + 1, [], "restore")
    write("ada", MINUTE + 2)
    expect(groupIntoSteps(stretches).map(({ isRestore }) => isRestore)).toEqual([false, true, false])
  })

  test("a note of the application neither ends nor shares a step", () => {
    const { stretches, write } = createScript()
    write("ada", MINUTE)
    write("ben", 2 * MINUTE, ["ada"])
    write("ada", 2 * MINUTE + 1_000, ["ben"], "note")
    write("ben", 2 * MINUTE + 2_000, ["ada"])
    write("ada", 2 * MINUTE + 3_000, ["ben"])
    expect(groupIntoSteps(stretches).map(({ authors }) => authors)).toEqual([["ada"], ["ben"], ["ada"]])
  })

  test("what follows a note of its author never comes before it", () => {
    const { stretches, write } = createScript()
    write("cat", MINUTE)
    write("ada", 2 * MINUTE)
    write("ben", 3 * MINUTE, ["ada"])
    write("ada", 3 * MINUTE + 1_000, ["ben"], "note")
    write("ada", 4 * MINUTE, ["cat"])
    const own = groupIntoSteps(stretches).flatMap((step) =>
      step.stretches.filter(({ peer }) => peer === "ada"),
    )
    expect(own.map(({ counter }) => counter)).toEqual([0, 5, 10])
  })

  test("come in the order of clocks where nobody knew of the other", () => {
    const { stretches, write } = createScript()
    for (const minute of [1, 20, 40]) write("ben", minute * MINUTE)
    write("ada", 30 * MINUTE)
    expect(told(groupIntoSteps(stretches))).toEqual(["ben 1-1", "ben 20-20", "ada 30-30", "ben 40-40"])
  })

  test("a clock that is wrong tears nothing apart from what it builds on", () => {
    const { stretches, write } = createScript()
    write("ada", 100 * MINUTE)
    write("ben", 1 * MINUTE, ["ada"])
    write("cat", 50 * MINUTE, ["ben"])
    expect(groupIntoSteps(stretches).map(({ authors }) => authors[0])).toEqual(["ada", "ben", "cat"])
  })
})

test("whoever edits and whenever they meet, each beginning of the steps is a version of the document", () => {
  const edit = fc.record({
    who: fc.nat(2),
    kind: fc.constantFrom("write", "write", "write", "take out", "meet", "wait", "note"),
    where: fc.nat(50),
  })
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 60 }), fc.boolean(), (edits, isOneDevice) => {
      const docs = [1, 2, 3].map((peer) => {
        const doc = new LoroDoc()
        doc.setPeerId(String(peer) as PeerID)
        return doc
      })
      let now = 1_000
      for (const { who, kind, where } of edits) {
        const doc = docs[who]
        if (doc === undefined) continue
        const text = doc.getText("body")
        if (kind === "wait") now += (where * PAUSE_MS) / 25_000
        if (kind === "meet") doc.import(docs[where % 3]?.export({ mode: "update" }) ?? new Uint8Array())
        if (kind === "write") text.insert(where % (text.length + 1), `${who}word `)
        if (kind === "take out" && text.length > 3) text.delete(where % (text.length - 2), 2)
        if (kind === "note") doc.getMap("people").set("x", where)
        doc.commit({ timestamp: now++, ...(kind === "note" && { message: NOTE_MESSAGE }) })
      }
      const whole = new LoroDoc()
      for (const doc of docs) whole.import(doc.export({ mode: "update" }))
      const devices = isOneDevice
        ? new Map(["1", "2"].map((peer) => [peer, "a device"]))
        : new Map<string, string>()
      const stretches = readStretches(whole, devices)
      const steps = groupIntoSteps(stretches)
      expect(steps.flatMap((step) => step.stretches)).toHaveLength(stretches.length)
      const vector = new Map<PeerID, number>()
      for (const step of steps) {
        for (const { peer, counter, length } of step.stretches) {
          expect(counter).toBe(vector.get(peer as PeerID) ?? 0)
          vector.set(peer as PeerID, counter + length)
        }
        // A version that lacked what it builds on would come back with it, and so be a different version.
        const frontiers = whole.vvToFrontiers(new VersionVector(vector))
        expect(new Map(whole.frontiersToVV(frontiers).toJSON())).toEqual(vector)
      }
      expect(vector).toEqual(new Map(whole.version().toJSON()))
    }),
    { numRuns: 150 },
  )
})
