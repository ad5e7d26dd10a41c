import {
  ByteWriter,
  createState,
  encodeDelta,
  hashValue,
  type JoinOutcome,
  type JsonObject,
  type RegisterDelta,
  type ReplicaHost,
  type ReplicaReport,
  type RegisterValue,
} from "@dunlin/core"
import { createRxDatabase, type RxDatabase } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { afterEach, describe, expect, test } from "vitest"
import { rxdbReplica } from "./index.ts"

const databases: RxDatabase[] = []
afterEach(async () => {
  await Promise.all(databases.splice(0).map((database) => database.close()))
})

const somebody = { session: "5e".repeat(16), device: "de".repeat(32) }
const AUTHOR = "00000000000000aa"

let count = 0
async function attached() {
  const database = await createRxDatabase({
    name: `hostile-${count++}`,
    storage: getRxStorageMemory(),
    multiInstance: false,
  })
  databases.push(database)
  const { notes } = await database.addCollections({
    notes: {
      schema: {
        version: 0,
        primaryKey: "id",
        type: "object",
        properties: {
          id: { type: "string", maxLength: 20 },
          text: { type: "string" },
          name: { type: "string", maxLength: 20 },
          rank: { type: "number", minimum: 0, maximum: 100, multipleOf: 1 },
          done: { type: "boolean" },
          place: { type: "object", properties: { length: { type: "string", maxLength: 20 } } },
        },
        required: ["id", "name", "rank", "done", "place"],
        indexes: ["name", ["done", "rank"], "place.length"],
        attachments: {},
      },
    },
  })
  await notes.insert({ id: "mine", text: "mine" })
  const reports: ReplicaReport[] = []
  const host: ReplicaHost = {
    roomTag: new Uint8Array(32),
    device: "00".repeat(32),
    changed: () => {},
    report: (report) => void reports.push(report),
    released: () => void replica.detach(),
    synced: () => Promise.resolve(),
    links: createState(new Map()),
  }
  const replica = await rxdbReplica(notes).attach(host)
  return { notes, replica, reports }
}

function write(value: RegisterValue, hlc = 1_000_000): RegisterDelta {
  const dot = { incarnation: AUTHOR, hlc }
  return {
    complete: true,
    context: new Map([[AUTHOR, hlc]]),
    dots: [dot],
    siblings: [{ ...hashValue(value), dot }],
    view: null,
    fingerprint: null,
  }
}

const good = encodeDelta(write({ deleted: false, payload: { text: "good" } }))

/** The bytes of a good delta, with its text replaced by another of the same length. */
function forged(text: string, by: string): Uint8Array {
  const bytes = encodeDelta(write({ deleted: false, payload: { text } }))
  const at = Buffer.from(bytes).indexOf(JSON.stringify({ text }))
  expect(at).toBeGreaterThan(0)
  expect(by).toHaveLength(JSON.stringify({ text }).length)
  bytes.set(Buffer.from(by), at)
  return bytes
}

const indexed = (payload: JsonObject): Uint8Array =>
  encodeDelta(write({ deleted: false, payload: { text: "x", ...payload } }))

const stub = (digest: string, length: number) => ({
  deleted: false,
  payload: { text: "x", _attachments: { file: { digest, length, type: "text/plain" } } },
})

describe("entries of a hostile peer", () => {
  const cases: readonly (readonly [string, string, Uint8Array, JoinOutcome["type"]])[] = [
    ["nonsense", "x", Uint8Array.of(1, 2, 3), "refused"],
    ["a key that reaches prototypes", "x", forged("aaaaaaaaaa", '{"__proto__":{"a":1}}'), "refused"],
    ["JSON with spaces", "x", forged("aaa", '{"text": "aa"}'), "refused"],
    ["a key longer than the schema's", "x".repeat(21), good, "refused"],
    ["an empty key", "", good, "refused"],
    [
      "a field of RxDB's own",
      "x",
      encodeDelta(write({ deleted: false, payload: { _rev: "1-x" } })),
      "refused",
    ],
    [
      "the primary key a second time",
      "x",
      encodeDelta(write({ deleted: false, payload: { id: "other" } })),
      "refused",
    ],
    [
      "a context without a write",
      "x",
      encodeDelta({ ...write({ deleted: true, payload: {} }), dots: [], siblings: [] }),
      "refused",
    ],
    [
      "a write whose value is left out",
      "x",
      encodeDelta({ ...write({ deleted: true, payload: {} }), siblings: [], fingerprint: new Uint8Array(8) }),
      "incomplete",
    ],
    ["malformed attachments", "x", encodeDelta(write(stub("../../etc", 1))), "refused"],
    ["an attachment of 8 GiB", "x", encodeDelta(write(stub("ab".repeat(32), 2 ** 33))), "refused"],
    ["an attachment that nobody has", "x", encodeDelta(write(stub("ab".repeat(32), 100))), "missing-blobs"],
    [
      "an empty attachment with a digest of something",
      "x",
      encodeDelta(write(stub("ab".repeat(32), 0))),
      "refused",
    ],
    ["a number where an index holds texts", "x", indexed({ name: 5 }), "refused"],
    ["an object where an index holds texts", "x", indexed({ name: { padEnd: 1 } }), "refused"],
    ["an array where an index holds texts", "x", indexed({ name: ["a"] }), "refused"],
    [
      "an object where an index holds numbers",
      "x",
      indexed({ rank: { valueOf: 1, toString: 1 } }),
      "refused",
    ],
    ["a number within an indexed object", "x", indexed({ place: { length: 1 } }), "refused"],
    ["a text in place of an indexed object", "x", indexed({ place: "four" }), "refused"],
    [
      "a block longer than the message",
      "x",
      new ByteWriter()
        .u8(0x11)
        .varint(2 ** 40)
        .finish(),
      "refused",
    ],
  ]
  for (const [name, key, delta, expected] of cases)
    test(`${name}: ${expected}, and the rest of the batch goes on`, async () => {
      const { notes, replica, reports } = await attached()
      const outcomes = await replica.join(
        [
          { key, delta },
          { key: "good", delta: good },
        ],
        somebody,
      )
      expect(outcomes.map(({ type }) => type)).toEqual([expected, "joined"])
      expect((await notes.findOne("good").exec(true)).get("text")).toBe("good")
      expect((await notes.findOne("mine").exec(true)).get("text")).toBe("mine")
      expect(await notes.count().exec()).toBe(2)
      expect(reports.filter(({ type }) => type === "quarantined")).toHaveLength(
        expected === "refused" ? 1 : 0,
      )
      expect(({} as { a?: unknown }).a).toBeUndefined()
      await replica.detach()
    })

  test("may leave indexed fields out, or give them any value that an index can hold", async () => {
    const { notes, replica } = await attached()
    const payloads: JsonObject[] = [
      {},
      { name: null, rank: null, place: null },
      { name: "", rank: "", done: "yes", place: {} },
      { name: "n".repeat(1_000), rank: 1e308, done: {}, place: { length: "far" } },
      { name: 0, rank: "x", place: { length: false } },
    ]
    const entries = payloads.map((payload, n) => ({ key: `k${n}`, delta: indexed(payload) }))
    const outcomes = await replica.join(entries, somebody)
    expect(outcomes.map(({ type }) => type)).toEqual(payloads.map(() => "joined"))
    expect(await notes.count().exec()).toBe(payloads.length + 1)
    await replica.detach()
  })
})
