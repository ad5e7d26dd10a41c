// A device that dies after any write to its storage, and starts again from what is then on disk.
import {
  type AttachedReplica,
  createState,
  type EntryChange,
  type ReplicaHost,
  type ReplicaLinkStatus,
} from "@dunlin/core"
import {
  addRxPlugin,
  createRxDatabase,
  type RxCollection,
  type RxConflictHandler,
  type RxDatabase,
} from "rxdb/plugins/core"
import { RxDBAttachmentsPlugin } from "rxdb/plugins/attachments"
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest"
import { mergeFields, rxdbReplica } from "../src/index.ts"
import { type CrashDisk, crashDisk } from "./crash-storage.ts"
import { pullEntries, pullWithBlobs, somebody, stateHashes } from "./exchange.ts"

interface Note {
  id: string
  text?: string
  count?: number
}

const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 60 }, text: { type: "string" }, count: { type: "number" } },
  required: ["id"],
} as const

/** Resolves to the greatest count of all siblings: like a counter, it never goes down. */
const greatest: RxConflictHandler<Note> = {
  isEqual: () => false,
  resolve: ({ realMasterState: a, newDocumentState: b }) =>
    Promise.resolve({ ...b, count: Math.max(a.count ?? 0, b.count ?? 0) }),
}

beforeAll(() => addRxPlugin(RxDBAttachmentsPlugin))

const open = new Set<RxDatabase>()
afterEach(async () => {
  vi.useRealTimers()
  await Promise.all([...open].map((database) => database.close()))
  open.clear()
})

interface Device {
  readonly disk: CrashDisk
  readonly database: RxDatabase
  readonly notes: RxCollection<Note>
  readonly attached: AttachedReplica
  /** Changes reported since the last look, for the other side. */
  takeChanges(): readonly EntryChange[]
}

let names = 0
async function start(
  disk: CrashDisk,
  conflictHandler: RxConflictHandler<Note>,
  more: { readonly attachments?: object } = {},
): Promise<Device> {
  const database = await createRxDatabase({
    name: `crash-${names++}`,
    storage: disk.storage,
    multiInstance: false,
  })
  open.add(database)
  const { notes } = await database.addCollections({
    notes: { schema: { ...schema, ...more }, conflictHandler },
  })
  let changes: EntryChange[] = []
  const host: ReplicaHost = {
    roomTag: new Uint8Array(32),
    device: "00".repeat(32),
    changed: (list) => void changes.push(...list),
    report: () => {},
    released: () => void attached.detach(),
    synced: () => Promise.resolve(),
    links: createState<ReadonlyMap<string, ReplicaLinkStatus>>(new Map()),
  }
  const attached: AttachedReplica = await rxdbReplica(notes as unknown as RxCollection).attach(host)
  return {
    disk,
    database,
    notes,
    attached,
    takeChanges() {
      const taken = changes
      changes = []
      return taken
    },
  }
}

async function stop(device: Device): Promise<void> {
  await device.attached.detach()
  await device.database.close()
  open.delete(device.database)
}

/** `to` asks `from` for what it lacks. */
async function pull(to: Device, from: Device): Promise<void> {
  await pullEntries(to.attached, from.attached, [...(await stateHashes(from.attached)).keys()])
}

async function push(from: Device, to: Device): Promise<void> {
  const entries = from
    .takeChanges()
    .flatMap(({ key, delta }) => (delta === undefined ? [] : [{ key, delta }]))
  if (entries.length > 0) await to.attached.join(entries, somebody)
}

async function shown({ notes }: Device): Promise<ReadonlyMap<string, Note>> {
  const documents = await notes.find().exec()
  return new Map(documents.map((document) => [document.id, document.toMutableJSON()]))
}

/** A write that the application was told is stored, and how many writes of the disk include it. */
interface Acknowledged {
  readonly id: string
  readonly count: number
  readonly writes: number
}

/**
 * Counts in documents of its own and in documents in which a peer counts too, while both exchange what they have. The
 * peer hears of everything, so that it is ahead of any earlier disk.
 */
async function work(device: Device, peer: Device): Promise<readonly Acknowledged[]> {
  const acknowledged: Acknowledged[] = []
  const count = async (id: string, n: number): Promise<void> => {
    await device.notes.upsert({ id, count: n })
    acknowledged.push({ id, count: n, writes: device.disk.writes.length })
  }
  for (let n = 1; n <= 8; n++) {
    await Promise.all([
      count("own", n),
      device.notes.incrementalUpsert({ id: `shared-${n % 2}`, text: `device ${n}`, count: n * 10 }),
      peer.notes.incrementalUpsert({ id: `shared-${n % 2}`, text: `peer ${n}`, count: n * 10 + 5 }),
      peer.notes.incrementalUpsert({ id: `of-peer-${n}`, count: n }),
      n % 3 === 0 ? pull(device, peer) : push(peer, device),
    ])
    if (n % 2 === 0) await push(device, peer)
  }
  await pull(peer, device)
  await pull(device, peer)
  return acknowledged
}

const handlers: readonly (readonly [string, RxConflictHandler<Note>])[] = [
  ["merging fields", mergeFields<Note>()],
  ["with a handler of its own", greatest],
]

describe.each(handlers)("a collection %s", (_name, handler) => {
  test("shows after a crash at any point what was acknowledged, and equals its peer again", async () => {
    const peer = await start(crashDisk(), handler)
    const device = await start(crashDisk(), handler)
    const acknowledged = await work(device, peer)
    const { writes } = device.disk
    await stop(device)
    expect(acknowledged).toHaveLength(8)

    for (let point = 0; point <= writes.length; point++) {
      const again = await start(crashDisk(writes.slice(0, point)), handler)
      const known = acknowledged.filter((one) => one.writes <= point).at(-1)?.count ?? 0
      const here = `after ${point} of ${writes.length} writes`
      const atStart = (await shown(again)).get("own")?.count ?? 0
      expect(atStart, here).toBeGreaterThanOrEqual(known)

      await pull(again, peer)
      expect((await shown(again)).get("own")?.count, here).toBe(8)
      await pull(peer, again)
      await pull(again, peer)
      expect(Object.fromEntries(await shown(again)), here).toEqual(Object.fromEntries(await shown(peer)))
      await stop(again)
    }
  })

  test("notes a conflict in one write before the rows and one after them", async () => {
    const [device, peer] = [await start(crashDisk(), handler), await start(crashDisk(), handler)]
    await device.notes.bulkUpsert([1, 2, 3].map((n) => ({ id: `shared-${n}`, count: n })))
    await peer.notes.bulkUpsert([1, 2, 3].map((n) => ({ id: `shared-${n}`, count: n + 10 })))
    const before = device.disk.writes.length
    await pull(device, peer)
    const beside = ["dunlin-notes", "notes", "dunlin-notes"]
    expect(device.disk.writes.slice(before).map(({ collection }) => collection)).toEqual(beside)
  })

  test("keeps what was acknowledged when its peer knows less than the disk", async () => {
    const peer = await start(crashDisk(), handler)
    const device = await start(crashDisk(), handler)
    const acknowledged: Acknowledged[] = []
    const count = async (id: string, n: number): Promise<void> => {
      await device.notes.incrementalUpsert({ id, count: n })
      acknowledged.push({ id, count: n, writes: device.disk.writes.length })
    }
    await count("own", 1)
    await push(device, peer)
    // From here on, the peer hears no more of `own`.
    for (let n = 2; n <= 6; n++) {
      await Promise.all([
        count("own", n),
        peer.notes.incrementalUpsert({ id: "shared", count: n }),
        count("shared", n * 2),
      ])
      await pull(device, peer)
    }
    const { writes } = device.disk
    await stop(device)
    // Fields merge to the later write, which may be the peer's lower count.
    const counters = handler === greatest ? ["own", "shared"] : ["own"]

    for (let point = 0; point <= writes.length; point++) {
      const again = await start(crashDisk(writes.slice(0, point)), handler)
      const stale = await start(crashDisk(peer.disk.writes), handler)
      const holds = async (device: Device, look: string): Promise<void> => {
        const notes = await shown(device)
        for (const id of counters) {
          const known = acknowledged.filter((one) => one.id === id && one.writes <= point).at(-1)?.count ?? 0
          const where = `${id} after ${point} of ${writes.length} writes, ${look}`
          expect(notes.get(id)?.count ?? 0, where).toBeGreaterThanOrEqual(known)
        }
      }
      await holds(again, "at the start")
      await pull(again, stale)
      await holds(again, "after the peer's older state came")
      await pull(stale, again)
      await holds(stale, "at the peer")
      await stop(again)
      await stop(stale)
    }
  })
})

test("attachments of a conflict are shown after a crash at any point, also a week and a day later", async () => {
  const begin = (disk: CrashDisk): Promise<Device> => start(disk, mergeFields(), { attachments: {} })
  const [device, peer] = [await begin(crashDisk()), await begin(crashDisk())]
  const exchange = async (to: Device, from: Device): Promise<void> =>
    pullWithBlobs(to.attached, from.attached, [...(await stateHashes(from.attached)).keys()])
  const put = async ({ notes }: Device, id: string, text: string): Promise<void> => {
    const note = await notes.findOne("shared").exec(true)
    await note.putAttachment({ id, data: new Blob([text.repeat(30_000)]), type: "text/plain" })
  }
  const files = async ({ notes }: Device): Promise<readonly string[]> => {
    const all = (await notes.findOne("shared").exec(true)).allAttachments()
    return Promise.all(
      all.map(async (one) => `${one.id} ${(await (await one.getData()).text()).slice(0, 9)}`),
    )
  }
  await device.notes.insert({ id: "shared" })
  await exchange(peer, device)
  for (let round = 0; round < 3; round++) {
    await Promise.all([put(device, "file", `device ${round}`), put(peer, "file", `  peer ${round}`)])
    await put(peer, `of peer ${round}`, ` other ${round}`)
    await exchange(device, peer)
    await exchange(peer, device)
  }
  const { writes } = device.disk
  await stop(device)
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 8 * 24 * 60 * 60 * 1000 })
  for (let point = 0; point <= writes.length; point++) {
    const again = await begin(crashDisk(writes.slice(0, point)))
    await exchange(again, peer)
    await exchange(peer, again)
    await exchange(again, peer)
    expect(await files(again), `after ${point} of ${writes.length} writes`).toEqual(await files(peer))
    await stop(again)
  }
})
