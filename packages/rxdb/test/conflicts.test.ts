import type { RxConflictHandler } from "rxdb/plugins/core"
import { describe, expect, test } from "vitest"
import { mergeFields, type ResolvedConflict } from "../src/index.ts"
import { type Bird, settled, until, useFlock, wait } from "./room-flock.ts"

interface Note {
  id: string
  text?: string
  done?: boolean
  rank?: number
}

const flock = useFlock()

const handlers: Readonly<Record<string, RxConflictHandler<Note> | null>> = {
  default: null,
  "not commutative": {
    isEqual: (a, b) => a.text === b.text,
    resolve: ({ realMasterState, newDocumentState }) =>
      Promise.resolve({
        ...newDocumentState,
        text: `(${realMasterState.text}|${newDocumentState.text})`.slice(0, 500),
      }),
  },
  "not deterministic": {
    isEqual: () => false,
    resolve: ({ newDocumentState }) => Promise.resolve({ ...newDocumentState, rank: Math.random() }),
  },
  throwing: {
    isEqual: () => false,
    resolve: ({ newDocumentState }) => {
      if (newDocumentState.text?.endsWith("1") === true) throw new Error("no idea")
      return Promise.resolve(newDocumentState)
    },
  },
  "mutating and deleting": {
    isEqual: () => false,
    resolve: ({ realMasterState, newDocumentState }) => {
      realMasterState.text = "mutated"
      newDocumentState._deleted = newDocumentState.id.endsWith("3")
      return Promise.resolve(newDocumentState)
    },
  },
}

for (const size of [3, 5])
  for (const [name, conflictHandler] of Object.entries(handlers))
    test(`${size} peers that write the same documents at once settle, handler ${name}`, async () => {
      const birds: Bird[] = []
      for (let n = 0; n < size; n++)
        birds.push(await flock.join({ creator: conflictHandler === null ? {} : { conflictHandler } }))
      await until(() => birds.every(({ room }) => room.peers.get().length === size - 1), "the mesh")
      const ids = Array.from({ length: 20 }, (_, n) => `note-${n}`)
      await Promise.all(
        birds.map(({ collection }, at) => collection.bulkUpsert(ids.map((id) => ({ id, text: `by ${at}` })))),
      )
      const state = await settled(birds)
      if (name === "default") expect(Object.keys(state)).toHaveLength(20)
      // Once settled, nothing changes by itself.
      const before = JSON.stringify(state)
      await wait(500)
      expect(JSON.stringify(await settled(birds))).toBe(before)
      // A later write, which has seen the merge, replaces it everywhere.
      await birds[0]?.collection.upsert({ id: "note-7", text: "the last word" })
      await until(
        async () =>
          (await birds[size - 1]?.collection.findOne("note-7").exec())?.get("text") === "the last word",
        "the last word",
      )
      expect(await settled(birds)).toMatchObject({ "note-7": { text: "the last word" } })
    })

describe("conflicts", () => {
  test("are told with what was merged from what", async () => {
    const [a, b] = [await flock.join(), await flock.join()]
    await a.collection.insert({ id: "x", text: "first" })
    await settled([a, b])
    const told: ResolvedConflict[] = []
    b.handle.conflicts$.subscribe((conflict) => told.push(conflict))
    await Promise.all([
      a.collection.upsert({ id: "x", text: "of a" }),
      b.collection.upsert({ id: "x", text: "of b" }),
    ])
    const state = (await settled([a, b])) as Record<string, Note>
    await until(() => told.length > 0 || state["x"]?.text === "first", "the conflict")
    expect(
      told
        .at(-1)
        ?.writes.map(({ document }) => document["text"])
        .toSorted(),
    ).toEqual(["of a", "of b"])
    expect(told.at(-1)?.merged["text"]).toBe(state["x"]?.text)
    expect(b.handle.recentConflicts()).toHaveLength(told.length)
    const loser = told.at(-1)?.writes.find(({ lost }) => lost)
    expect(loser).toBeDefined()
    // A loser is restored by writing it again.
    await b.collection.upsert({ id: "x", text: String(loser?.document["text"]) })
    expect(await settled([a, b])).toMatchObject({ x: { text: loser?.document["text"] } })
  })

  test("of many documents go to a slow handler side by side", async () => {
    let running = 0
    let most = 0
    const conflictHandler: RxConflictHandler<Note> = {
      isEqual: (a, b) => a.text === b.text,
      async resolve({ newDocumentState }) {
        most = Math.max(most, ++running)
        await wait(200)
        running--
        return newDocumentState
      },
    }
    const a = await flock.join({ creator: { conflictHandler } })
    const ids = Array.from({ length: 20 }, (_, n) => `note-${n}`)
    await a.collection.bulkUpsert(ids.map((id) => ({ id, text: "of a" })))
    const b = await flock.join({
      creator: { conflictHandler },
      before: (collection) => collection.bulkUpsert(ids.map((id) => ({ id, text: "of b" }))),
    })
    await settled([a, b])
    expect(most).toBeGreaterThan(5)
  })

  test("of different fields both survive with mergeFields", async () => {
    const creator = { conflictHandler: mergeFields<Note>() }
    const birds = [
      await flock.join({ creator }),
      await flock.join({ creator }),
      await flock.join({ creator }),
    ]
    await birds[0]?.collection.insert({ id: "x", text: "start", done: false, rank: 0 })
    await settled(birds)
    const [a, b, c] = await Promise.all(birds.map(({ collection }) => collection.findOne("x").exec(true)))
    await Promise.all([a?.patch({ text: "new text" }), b?.patch({ done: true }), c?.patch({ rank: 7 })])
    expect(await settled(birds)).toMatchObject({ x: { text: "new text", done: true, rank: 7 } })
  })

  test("of a deletion and an edit go to the handler with _deleted", async () => {
    const seen: boolean[] = []
    const creator = {
      conflictHandler: {
        isEqual: () => false,
        resolve: ({ realMasterState, newDocumentState }) => {
          seen.push(realMasterState._deleted, newDocumentState._deleted)
          return Promise.resolve(newDocumentState._deleted ? realMasterState : newDocumentState)
        },
      } satisfies RxConflictHandler<Note>,
    }
    const [a, b] = [await flock.join({ creator }), await flock.join({ creator })]
    await a.collection.insert({ id: "x", text: "start" })
    await settled([a, b])
    const [mine, theirs] = [
      await a.collection.findOne("x").exec(true),
      await b.collection.findOne("x").exec(true),
    ]
    await Promise.all([mine.remove(), theirs.patch({ text: "edited" })])
    expect(await settled([a, b])).toMatchObject({ x: { text: "edited" } })
    expect(seen).toContain(true)
  })

  test("whose handler returns no document show the later write, with a report", async () => {
    const resolve = (): Promise<never> => Promise.resolve("the text of a document" as never)
    const creator = { conflictHandler: { isEqual: () => false, resolve } }
    const [a, b] = [await flock.join({ creator }), await flock.join({ creator })]
    const reports: unknown[] = []
    for (const { handle } of [a, b]) handle.error$.subscribe((report) => reports.push(report))
    await until(() => a.room.peers.get().length === 1, "the link")
    await Promise.all([
      a.collection.insert({ id: "x", text: "of a" }),
      b.collection.insert({ id: "x", text: "of b" }),
    ])
    const { x } = (await settled([a, b])) as { readonly x: { readonly text: string } }
    expect(["of a", "of b"]).toContain(x.text)
    expect(reports).toContainEqual(expect.objectContaining({ type: "handler-failed", key: "x" }))
  })
})
