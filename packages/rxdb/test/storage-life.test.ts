import type { ReplicaError } from "@dunlin/core"
import { addRxPlugin, removeRxDatabase, type RxCollection, type RxStorage } from "rxdb/plugins/core"
import { RxDBAttachmentsPlugin } from "rxdb/plugins/attachments"
import { RxDBCleanupPlugin } from "rxdb/plugins/cleanup"
import { wrappedKeyEncryptionCryptoJsStorage } from "rxdb/plugins/encryption-crypto-js"
import { wrappedKeyCompressionStorage } from "rxdb/plugins/key-compression"
import { RxDBMigrationSchemaPlugin } from "rxdb/plugins/migration-schema"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { firstValueFrom } from "rxjs"
import { beforeAll, describe, expect, test } from "vitest"
import { rxdbReplica } from "../src/index.ts"
import { openSidecar } from "../src/sidecar.ts"
import {
  type Bird,
  type BirdOptions,
  contents,
  dexie,
  freshName,
  memory,
  noteSchema,
  settled,
  until,
  useFlock,
  wait,
} from "./room-flock.ts"

beforeAll(() => {
  addRxPlugin(RxDBAttachmentsPlugin)
  addRxPlugin(RxDBCleanupPlugin)
  addRxPlugin(RxDBMigrationSchemaPlugin)
})

const flock = useFlock()

describe("a collection's life", () => {
  test("documents that come back over their tombstone come back everywhere", async () => {
    const [a, b] = [await flock.join(), await flock.join()]
    await a.collection.bulkInsert([
      { id: "x", text: "one" },
      { id: "y", text: "stays" },
    ])
    await settled([a, b])
    await (await b.collection.findOne("x").exec(true)).remove()
    await until(async () => (await a.collection.findOne("x").exec()) === null, "the deletion")
    await a.collection.insert({ id: "x", text: "two" })
    expect(await settled([a, b])).toMatchObject({ x: { text: "two" }, y: { text: "stays" } })
    await (await b.collection.findOne("x").exec(true)).patch({ text: "three" })
    expect(await settled([a, b])).toMatchObject({ x: { text: "three" } })
  })

  test("a collection that was in several rooms is removed, and what is kept beside it as well", async () => {
    const name = freshName()
    const bird = await flock.join({ name })
    for (let room = 0; room < 3; room++) {
      await bird.collection.upsert({ id: "x", text: `in room ${room}` })
      await bird.handle.close()
      const handle = await bird.room.replicate(rxdbReplica(bird.collection))
      if (room < 2) await handle.close()
    }
    await bird.collection.remove()
    const { notes } = await bird.database.addCollections({ notes: { schema: noteSchema } })
    expect(await contents(notes as RxCollection)).toEqual({})
    expect(bird.collection.onClose.length).toBeLessThan(3)
  })

  test.each(["the database", "the collection"])(
    "%s that was removed while no room had it begins anew, and is filled again",
    async (what) => {
      const name = freshName()
      const [a, b] = [await flock.join(), await flock.join({ storage: dexie(), name })]
      await a.collection.insert({ id: "x", text: "one" })
      await settled([a, b])
      await Promise.all([
        a.collection.upsert({ id: "x", text: "of a" }),
        b.collection.upsert({ id: "x", text: "of b" }),
      ])
      const before = await settled([a, b])
      await b.room.close()
      await b.database.close()
      if (what === "the collection") {
        const { database, collection } = await flock.openDatabase({ storage: dexie(), name })
        rxdbReplica(collection)
        await collection.remove()
        await database.close()
      } else {
        await removeRxDatabase(name, dexie(), false)
      }
      const back = await flock.join({ storage: dexie(), name })
      await until(async () => (await contents(back.collection))["x"] !== undefined, "the document", 5_000)
      expect(await settled([a, back])).toEqual(before)
    },
  )

  test.each([
    ["memory", memory, undefined],
    ["Dexie", dexie, undefined],
    [
      "an encrypted storage",
      () => wrappedKeyEncryptionCryptoJsStorage({ storage: dexie() }) as RxStorage<unknown, unknown>,
      { ...noteSchema, encrypted: ["text"] },
    ],
  ])(
    "what was removed beside the rows frees its room once there is much of it, in %s",
    async (_, storage, schema) => {
      const { collection } = await flock.openDatabase({
        storage: storage(),
        password: "a long password",
        ...(schema === undefined ? {} : { creator: { schema } }),
      })
      const sidecar = await openSidecar(collection)
      const known = async (): Promise<number> => (await sidecar.changedSince(null, 10_000)).ids.length
      await sidecar.put(new Map([["kept", "data"]]))
      const before = await known()
      const removed = Array.from({ length: 600 }, (_one, n) => `removed-${n}`)
      for (const [from, to] of [
        [0, 400],
        [400, 600],
      ] as const) {
        const ids = removed.slice(from, to)
        await sidecar.put(new Map(ids.map((id) => [id, "data"])))
        await sidecar.put(new Map(ids.map((id) => [id, null])))
        await wait(5)
        await sidecar.purge(60_000)
        await sidecar.purge(0)
        if (to === 400) expect(await known()).toBe(before + 400)
      }
      expect(await known()).toBe(before)
      expect((await sidecar.get(["kept"])).get("kept")).toBe("data")
      await sidecar.close()
    },
  )

  test("what is kept beside the rows is closed when a collection cannot join", async () => {
    const watched = watchedStorage(memory())
    const { collection } = await flock.openDatabase({ storage: watched.storage })
    const room = await flock.openRoom()
    watched.failing = "bulkWrite"
    await expect(room.replicate(rxdbReplica(collection))).rejects.toThrow("the disk is gone")
    expect([...watched.openSidecars]).toEqual([])
    watched.failing = null
    await room.replicate(rxdbReplica(collection))
    expect([...watched.openSidecars]).toEqual(["dunlin-notes"])
  })

  test("a collection that closes while it joins has left before it is closed", async () => {
    for (const ticks of [0, 1, 5, 20, 50, 100]) {
      const watched = watchedStorage(memory())
      const { collection } = await flock.openDatabase({ storage: watched.storage })
      await collection.insert({ id: "x", text: "one" })
      const room = await flock.openRoom()
      const joining = room.replicate(rxdbReplica(collection)).then(
        () => "joined",
        (error: unknown) => (error as ReplicaError).code,
      )
      for (let tick = 0; tick < ticks; tick++) await Promise.resolve()
      await collection.close()
      // If it had joined before, it has left.
      expect(["joined", "replica-closed"]).toContain(await joining)
      expect([...watched.openSidecars, ...watched.usedClosed]).toEqual([])
    }
  })

  test("a collection that leaves while attachments come waits for what is being stored", async () => {
    const creator = { schema: { ...noteSchema, attachments: {} } }
    const a = await flock.join({ creator })
    const document = await a.collection.insert({ id: "x", text: "one" })
    await document.putAttachment({
      id: "file",
      data: new Blob([Buffer.alloc(3_000_000)]),
      type: "text/plain",
    })
    const watched = watchedStorage(memory())
    const b = await flock.join({ creator, storage: watched.storage })
    await firstValueFrom(b.handle.attachments$)
    await b.handle.close()
    await wait(100)
    expect([...watched.openSidecars, ...watched.usedClosed]).toEqual([])
  })

  test("both forms of it are closed when it cannot be moved from one to the other", async () => {
    const [name, password] = [freshName(), "password of this test"]
    const watched = watchedStorage(dexie())
    const storage = wrappedKeyEncryptionCryptoJsStorage({ storage: watched.storage }) as RxStorage<
      unknown,
      unknown
    >
    const a = await flock.join({ storage, password, name })
    await a.room.close()
    await a.database.close()
    const { collection } = await flock.openDatabase({
      storage,
      password,
      name,
      creator: {
        schema: { ...noteSchema, version: 1, encrypted: ["text"] },
        migrationStrategies: { 1: (document: Record<string, unknown>) => document },
      },
    })
    const room = await flock.openRoom()
    watched.failing = "remove"
    await expect(room.replicate(rxdbReplica(collection))).rejects.toThrow("the disk is gone")
    expect([...watched.openSidecars]).toEqual([])
    watched.failing = null
    await room.replicate(rxdbReplica(collection))
    expect([...watched.openSidecars]).toEqual(["dunlin--notes"])
  })

  test("a cleanup frees tombstones and brings nothing back, not even to a newcomer's old copy", async () => {
    const name = freshName()
    const a = await flock.join()
    const old = await flock.join({ storage: dexie(), name })
    await a.collection.bulkInsert([
      { id: "x", text: "one" },
      { id: "y", text: "two" },
    ])
    await settled([a, old])
    await old.room.close()
    await old.database.close()

    await (await a.collection.findOne("x").exec(true)).remove()
    await wait(100)
    await a.collection.cleanup(0)
    expect(await a.collection.storageInstance.findDocumentsById(["x"], true)).toHaveLength(0)

    const back = await flock.join({ storage: dexie(), name })
    expect(await settled([a, back])).toEqual({ y: { id: "y", text: "two" } })
    await a.collection.insert({ id: "x", text: "again" })
    expect(await settled([a, back])).toMatchObject({ x: { text: "again" } })
  })

  test("writes made while nothing of Dunlin was loaded are found at the next start", async () => {
    const name = freshName()
    const [a, b] = [await flock.join(), await flock.join({ storage: dexie(), name })]
    await a.collection.bulkInsert([1, 2, 3].map((n) => ({ id: `n${n}`, text: "start" })))
    await settled([a, b])
    await b.room.close()
    await b.database.close()

    const { database, collection } = await flock.openDatabase({ storage: dexie(), name })
    await (await collection.findOne("n1").exec(true)).patch({ text: "edited unseen" })
    await (await collection.findOne("n2").exec(true)).remove()
    await collection.insert({ id: "n4", text: "new unseen" })
    await database.close()
    await (await a.collection.findOne("n3").exec(true)).patch({ text: "edited by a" })

    const back = await flock.join({ storage: dexie(), name })
    expect(await settled([a, back])).toEqual({
      n1: { id: "n1", text: "edited unseen" },
      n3: { id: "n3", text: "edited by a" },
      n4: { id: "n4", text: "new unseen" },
    })
    expect(a.handle.recentConflicts()).toEqual([])
  })

  test("equal documents of two imports are equal: no conflict, no write", async () => {
    const documents = Array.from({ length: 100 }, (_, n) => ({ id: `n${n}`, text: "imported" }))
    const before = (collection: RxCollection): Promise<unknown> => collection.bulkInsert(documents)
    const [a, b] = [await flock.join({ before }), await flock.join({ before })]
    await settled([a, b])
    const row = await b.collection.storageInstance.findDocumentsById(["n7"], true)
    expect(row[0]?._rev.startsWith("1-")).toBe(true)
    await a.collection.upsert({ id: "n7", text: "edited" })
    expect(await settled([a, b])).toMatchObject({ n7: { text: "edited" } })
    expect(b.handle.recentConflicts()).toEqual([])
  })

  test("peers on two schema versions hold still, and go on once both have migrated", async () => {
    const name = freshName()
    const a = await flock.join({ storage: dexie(), name: freshName() })
    const b = await flock.join({ storage: dexie(), name })
    await a.collection.bulkInsert([
      { id: "x", text: "one" },
      { id: "y", text: "two" },
    ])
    await settled([a, b])
    const v1 = {
      schema: {
        ...noteSchema,
        version: 1,
        properties: { ...noteSchema.properties, tag: { type: "string" } },
      },
      migrationStrategies: { 1: (document: Record<string, unknown>) => ({ ...document, tag: "migrated" }) },
    } as const
    await b.room.close()
    await b.database.close()
    const newer = await flock.join({ storage: dexie(), name, creator: v1 })
    await until(
      () => [...newer.handle.links.get().values()].some((link) => link.phase === "incompatible"),
      "the incompatible link",
    )
    const [link] = [...newer.handle.links.get().values()]
    expect(link?.reason).toContain("v1")
    await newer.collection.insert({ id: "z", text: "of the new version", tag: "new" })
    await a.collection.insert({ id: "w", text: "of the old version" })
    await wait(300)
    expect(Object.keys(await contents(newer.collection))).toEqual(["x", "y", "z"])

    const nameOfA = a.database.name
    await a.room.close()
    await a.database.close()
    const migrated = await flock.join({ storage: dexie(), name: nameOfA, creator: v1 })
    expect(await settled([newer, migrated])).toEqual({
      w: { id: "w", text: "of the old version", tag: "migrated" },
      x: { id: "x", text: "one", tag: "migrated" },
      y: { id: "y", text: "two", tag: "migrated" },
      z: { id: "z", text: "of the new version", tag: "new" },
    })
    const rows = await newer.collection.storageInstance.findDocumentsById(["x"], true)
    expect(rows[0]?._rev.startsWith("1-")).toBe(true)
  })

  test("a collection that is not migrated yet joins no room, and once it is loses nothing that was written before", async () => {
    const names = [freshName(), freshName()] as const
    const [a, b] = [
      await flock.join({ storage: dexie(), name: names[0] }),
      await flock.join({ storage: dexie(), name: names[1] }),
    ]
    await a.collection.bulkInsert(["x", "y", "z"].map((id) => ({ id, text: "one" })))
    await settled([a, b])
    await a.room.close()
    await a.database.close()
    await b.room.close()
    await b.collection.upsert({ id: "x", text: "edited alone" })
    await (await b.collection.findOne("y").exec(true)).remove()
    await b.database.close()
    const v1 = {
      schema: { ...noteSchema, version: 1 },
      migrationStrategies: { 1: (document: Record<string, unknown>) => document },
    }
    const newer = await flock.join({ storage: dexie(), name: names[0], creator: v1 })
    const { database, collection } = await flock.openDatabase({
      storage: dexie(),
      name: names[1],
      creator: { ...v1, autoMigrate: false },
    })
    const room = await flock.openRoom()
    await expect(room.replicate(rxdbReplica(collection))).rejects.toMatchObject({ code: "not-migrated" })
    expect(await contents(collection)).toEqual({})
    await collection.startMigration()
    const handle = await room.replicate(rxdbReplica(collection))
    expect(await settled([newer, { database, collection, room, handle }])).toEqual({
      x: { id: "x", text: "edited alone" },
      z: { id: "z", text: "one" },
    })
  })

  describe("a collection of several versions", () => {
    const open = (name: string, version: number) =>
      flock.openDatabase({
        storage: dexie(),
        name,
        creator: {
          schema: { ...noteSchema, version },
          migrationStrategies: Object.fromEntries(
            Array.from({ length: version }, (_, at) => [
              at + 1,
              (document: Record<string, unknown>) => document,
            ]),
          ),
          autoMigrate: false,
        },
      })

    test("is migrated anew before it joins, if an older application used it after a migration", async () => {
      const name = freshName()
      for (const version of [0, 1, 0]) {
        const { database, collection } = await open(name, version)
        if (version === 1) await collection.startMigration()
        await collection.upsert({ id: `of ${version}`, text: "text" })
        await database.close()
      }
      const { collection } = await open(name, 1)
      const room = await flock.openRoom()
      await expect(room.replicate(rxdbReplica(collection))).rejects.toMatchObject({ code: "not-migrated" })
      await collection.startMigration()
      await room.replicate(rxdbReplica(collection))
      expect(Object.keys(await contents(collection))).toEqual(["of 0", "of 1"])
    })

    test("joins once the oldest is migrated, although RxDB lists the one between until the next start", async () => {
      const name = freshName()
      for (const version of [0, 1]) {
        const { database, collection } = await open(name, version)
        if (version === 0) await collection.upsert({ id: "x", text: "text" })
        await database.close()
      }
      const { collection } = await open(name, 2)
      const room = await flock.openRoom()
      await expect(room.replicate(rxdbReplica(collection))).rejects.toMatchObject({ code: "not-migrated" })
      await collection.startMigration()
      await room.replicate(rxdbReplica(collection))
      expect(Object.keys(await contents(collection))).toEqual(["x"])
    })
  })

  test("attachments outlive a version of the schema that has them encrypted", async () => {
    const [name, password] = [freshName(), "password of this test"]
    const encrypted = (): RxStorage<unknown, unknown> =>
      wrappedKeyEncryptionCryptoJsStorage({ storage: dexie() }) as RxStorage<unknown, unknown>
    const v0 = { schema: { ...noteSchema, attachments: {} } }
    const v1 = {
      schema: { ...noteSchema, version: 1, attachments: { encrypted: true } },
      migrationStrategies: { 1: (document: Record<string, unknown>) => document },
    }
    const bytes = Buffer.from("a file of the old version ".repeat(8_000))
    const a = await flock.join({ storage: encrypted(), password, name, creator: v0 })
    const document = await a.collection.insert({ id: "x", text: "one" })
    await document.putAttachment({ id: "file", data: new Blob([bytes]), type: "text/plain" })
    await a.room.close()
    await a.database.close()
    const migrated = await flock.join({ storage: encrypted(), password, name, creator: v1 })
    const b = await flock.join({ creator: { ...v1, schema: { ...v1.schema, attachments: {} } } })
    expect(await settled([migrated, b])).toMatchObject({ x: { text: "one" } })
    const file = (await b.collection.findOne("x").exec(true)).getAttachment("file")
    expect(Buffer.from(await (await file!.getData()).arrayBuffer()).equals(bytes)).toBe(true)
    await (await migrated.collection.findOne("x").exec(true)).patch({ text: "two" })
    expect(await settled([migrated, b])).toMatchObject({ x: { text: "two" } })
    expect(b.handle.recentConflicts()).toEqual([])
  })

  test.each(["encrypts", "no longer encrypts"])(
    "what is kept beside the rows outlives a version of the schema that %s, and leaves nothing behind",
    async (change) => {
      const password = "password of this test"
      const storage = (): RxStorage<unknown, unknown> =>
        wrappedKeyEncryptionCryptoJsStorage({ storage: dexie() }) as RxStorage<unknown, unknown>
      const [plain, encrypted] = [{ ...noteSchema }, { ...noteSchema, encrypted: ["text"] }]
      const [before, after] = change === "encrypts" ? [plain, encrypted] : [encrypted, plain]
      const migrationStrategies = { 1: (document: Record<string, unknown>) => document }
      const v1 = { schema: { ...after, version: 1 }, migrationStrategies }
      const v2 = {
        schema: { ...after, version: 2 },
        migrationStrategies: { ...migrationStrategies, 2: (document: Record<string, unknown>) => document },
      }
      const names = [freshName(), freshName()] as const
      const open = (name: string, creator: BirdOptions["creator"] = { schema: before }) =>
        flock.join({ storage: storage(), password, name, ...(creator === undefined ? {} : { creator }) })
      const close = async ({ room, database }: Bird): Promise<void> => {
        await room.close()
        await database.close()
      }
      const [a, absent] = [await open(names[0]), await open(names[1])]
      await a.collection.bulkInsert([
        { id: "x", text: "goes" },
        { id: "y", text: "stays" },
      ])
      await settled([a, absent])
      await close(absent)
      await (await a.collection.findOne("x").exec(true)).remove()
      await a.room.synced({ peers: 0 })
      await close(a)
      // Two later versions: the start with the second has nothing to move.
      await close(await open(names[0], v1))
      const [again, back] = [await open(names[0], v2), await open(names[1], v2)]
      expect(await settled([again, back])).toEqual({ y: { id: "y", text: "stays" } })
      const counts = await Promise.all(
        ["dunlin-notes", "dunlin--notes"].map((form) => rowsIn(`rxdb-dexie-${names[0]}--0--${form}`)),
      )
      const [left, moved] = change === "encrypts" ? counts : counts.toReversed()
      expect(left).toBe(0)
      expect(moved).toBeGreaterThan(0)
    },
  )

  test("an encrypted collection replicates, and its storage never holds the plaintext", async () => {
    const secret = "the plaintext of a secret note"
    const spies = [spiedStorage(), spiedStorage()]
    const creator = { schema: { ...noteSchema, encrypted: ["text"] } }
    const join = (spy: ReturnType<typeof spiedStorage>) =>
      flock.join({
        storage: wrappedKeyEncryptionCryptoJsStorage({ storage: spy.storage }) as RxStorage<unknown, unknown>,
        password: "password of this test",
        creator,
      })
    const [a, b] = [await join(spies[0] as Spy), await join(spies[1] as Spy)]
    await a.collection.insert({ id: "x", text: secret })
    expect(await settled([a, b])).toMatchObject({ x: { text: secret } })
    // A conflict keeps siblings in the sidecar: they must be ciphertext as well.
    await Promise.all([
      a.collection.upsert({ id: "x", text: `${secret} of a` }),
      b.collection.upsert({ id: "x", text: `${secret} of b` }),
    ])
    await settled([a, b])
    await wait(100)
    for (const spy of spies) {
      expect(spy.written.length).toBeGreaterThan(0)
      expect(spy.written.filter((row) => row.includes("plaintext"))).toEqual([])
      expect(spy.written.filter((row) => row.includes(btoa(secret).slice(4, 24)))).toEqual([])
    }
  })

  test("key compression stays a matter of the storage", async () => {
    const storage = wrappedKeyCompressionStorage({ storage: getRxStorageMemory() }) as unknown as RxStorage<
      unknown,
      unknown
    >
    const a = await flock.join({ storage, creator: { schema: { ...noteSchema, keyCompression: true } } })
    const b = await flock.join()
    await a.collection.insert({ id: "x", text: "compressed here, plain there" })
    expect(await settled([a, b])).toMatchObject({ x: { text: "compressed here, plain there" } })
  })

  test("stamps are there before any room", async () => {
    const { collection } = await flock.openDatabase({})
    rxdbReplica(collection)
    await collection.insert({ id: "x", text: "stamped" })
    const [row] = await collection.storageInstance.findDocumentsById(["x"], true)
    expect(row).toMatchObject({ _meta: { dunlin: { height: 1 } } })
  })
})

/** Rows in all stores of a Dexie database; 0 if there is none. */
async function rowsIn(name: string): Promise<number> {
  const database = await answerOf(indexedDB.open(name))
  const counts = [...database.objectStoreNames].map((store) =>
    answerOf(database.transaction(store).objectStore(store).count()),
  )
  const rows = await Promise.all(counts)
  database.close()
  return rows.reduce((sum, count) => sum + count, 0)
}

function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result))
    request.addEventListener("error", () => reject(request.error ?? new Error("IndexedDB failed")))
  })
}

interface WatchedStorage {
  readonly storage: RxStorage<unknown, unknown>
  /** Names of their collections. */
  readonly openSidecars: ReadonlySet<string>
  /** Methods called on sidecars that were closed. */
  readonly usedClosed: readonly string[]
  /** The method of sidecars that fails from now on. */
  failing: "bulkWrite" | "remove" | null
}

function watchedStorage(inner: RxStorage<unknown, unknown>): WatchedStorage {
  const openSidecars = new Set<string>()
  const usedClosed: string[] = []
  const watched: WatchedStorage = {
    openSidecars,
    usedClosed,
    failing: null,
    storage: {
      ...inner,
      async createStorageInstance(parameters) {
        const instance = await inner.createStorageInstance(parameters)
        const name = parameters.collectionName
        if (!name.startsWith("dunlin-")) return instance
        openSidecars.add(name)
        let isOpen = true
        for (const method of ["bulkWrite", "findDocumentsById", "remove", "close"] as const) {
          const work = instance[method].bind(instance) as (...given: unknown[]) => Promise<unknown>
          Object.assign(instance, {
            [method]: async (...given: unknown[]) => {
              if (watched.failing === method) throw new Error("the disk is gone")
              if (method === "remove" || method === "close") {
                isOpen = false
                openSidecars.delete(name)
              } else if (!isOpen) usedClosed.push(method)
              if (method === "bulkWrite") await wait(1)
              return work(...given)
            },
          })
        }
        return instance
      },
    },
  }
  return watched
}

interface Spy {
  readonly storage: RxStorage<unknown, unknown>
  readonly written: string[]
}

/** What reaches the innermost storage, as text. */
function spiedStorage(): Spy {
  const inner = memory()
  const written: string[] = []
  const storage: RxStorage<unknown, unknown> = {
    ...inner,
    async createStorageInstance(parameters) {
      const instance = await inner.createStorageInstance(parameters)
      const bulkWrite = instance.bulkWrite.bind(instance)
      instance.bulkWrite = (rows, context) => {
        for (const row of rows) written.push(JSON.stringify(row.document))
        return bulkWrite(rows, context)
      }
      return instance
    },
  }
  return { storage, written }
}
