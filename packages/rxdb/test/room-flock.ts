import "fake-indexeddb/auto"
import { canonicalJson, createInvite, memoryIdentity, openRoom, type Room } from "@dunlin/core"
import {
  createRxDatabase,
  type RxCollection,
  type RxCollectionCreator,
  type RxDatabase,
  type RxStorage,
} from "rxdb/plugins/core"
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { afterEach, beforeEach } from "vitest"
import { createMemoryNetwork } from "../../core/src/testing/memory-transport.ts"
import { rxdbReplica, type RxdbHandle, type RxdbReplicaOptions } from "../src/index.ts"

export const noteSchema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: {
    id: { type: "string", maxLength: 40 },
    text: { type: "string" },
    done: { type: "boolean" },
    rank: { type: "number" },
  },
  required: ["id"],
} as const

export const memory = (): RxStorage<unknown, unknown> => getRxStorageMemory() as RxStorage<unknown, unknown>

/** A storage that outlives its database. */
export const dexie = (): RxStorage<unknown, unknown> =>
  getRxStorageDexie() as unknown as RxStorage<unknown, unknown>

/** A name for a database that nobody opened before. */
export const freshName = (): string => `bird-${crypto.randomUUID()}`

export interface Bird {
  readonly database: RxDatabase
  readonly collection: RxCollection
  readonly room: Room
  readonly handle: RxdbHandle
}

export interface BirdOptions {
  readonly storage?: RxStorage<unknown, unknown>
  readonly name?: string
  readonly password?: string
  readonly creator?: Partial<RxCollectionCreator>
  readonly replica?: RxdbReplicaOptions
  /** Runs before the replica is made. */
  readonly before?: (collection: RxCollection) => Promise<unknown>
}

/** Peers in one process: real RxDB, real rooms, an in-memory network. */
export function createFlock() {
  const invite = createInvite()
  const network = createMemoryNetwork()
  const databases = new Set<RxDatabase>()
  const rooms = new Set<Room>()

  const openDatabase = async (
    options: BirdOptions,
  ): Promise<{ database: RxDatabase; collection: RxCollection }> => {
    const database = await createRxDatabase({
      name: options.name ?? freshName(),
      storage: options.storage ?? memory(),
      multiInstance: false,
      ...(options.password === undefined ? {} : { password: options.password }),
    })
    databases.add(database)
    const { notes } = await database.addCollections({ notes: { schema: noteSchema, ...options.creator } })
    if (notes === undefined) throw new Error("no collection")
    return { database, collection: notes }
  }

  const open = async (): Promise<Room> => {
    const room = await openRoom({ invite, identity: memoryIdentity(), transports: [network.transport()] })
    rooms.add(room)
    return room
  }

  return {
    network,
    openDatabase,
    /** A peer that shares nothing yet. */
    openRoom: open,
    async join(options: BirdOptions = {}): Promise<Bird> {
      const { database, collection } = await openDatabase(options)
      await options.before?.(collection)
      const room = await open()
      const handle = await room.replicate(rxdbReplica(collection, options.replica))
      return { database, collection, room, handle }
    },
    async close(): Promise<void> {
      await Promise.all([...rooms].map((room) => room.close()))
      await Promise.all([...databases].map((database) => database.close()))
    },
  }
}

/** The same for each test of a file, closed when the test has ended. */
export function useFlock(): Omit<ReturnType<typeof createFlock>, "close"> {
  let flock = createFlock()
  beforeEach(() => {
    flock = createFlock()
  })
  afterEach(() => flock.close())
  return {
    get network() {
      return flock.network
    },
    openDatabase: (options) => flock.openDatabase(options),
    openRoom: () => flock.openRoom(),
    join: (options) => flock.join(options),
  }
}

export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 20_000,
): Promise<void> {
  const end = Date.now() + timeoutMs
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Documents as an application sees them, by key. */
export async function contents(collection: RxCollection): Promise<Readonly<Record<string, unknown>>> {
  const documents = await collection.find().exec()
  return Object.fromEntries(
    documents
      .map((document) => [document.primary, document.toJSON()] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
}

/** Resolves when all collections show exactly this. */
export async function settledAs(
  collections: readonly RxCollection[],
  expected: Readonly<Record<string, unknown>>,
): Promise<void> {
  const text = canonicalJson(expected)
  await until(async () => {
    const states = await Promise.all(collections.map(contents))
    return states.every((state) => canonicalJson(state) === text)
  }, text)
}

/** Resolves when all show the same, with what they show. */
export async function settled(birds: readonly Bird[]): Promise<Readonly<Record<string, unknown>>> {
  let last = ""
  await until(async () => {
    const states = await Promise.all(
      birds.map(async ({ collection }) => canonicalJson(await contents(collection))),
    )
    const same = new Set(states).size === 1 && states[0] === last
    last = states[0] ?? ""
    if (!same) await wait(150)
    return same
  }, "all peers to show the same")
  return JSON.parse(last) as Readonly<Record<string, unknown>>
}
