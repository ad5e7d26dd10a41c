import { createInvite, memoryIdentity, openRoom, type Room } from "@dunlin/core"
import {
  addRxPlugin,
  createRxDatabase,
  type RxCollection,
  type RxCollectionCreator,
  type RxDatabase,
  type RxStorage,
} from "rxdb/plugins/core"
import { disableWarnings, RxDBDevModePlugin } from "rxdb/plugins/dev-mode"
import { wrappedValidateAjvStorage } from "rxdb/plugins/validate-ajv"
import { afterAll, afterEach, beforeAll } from "vitest"
import { createMemoryNetwork } from "../../core/src/testing/memory-transport.ts"
import { dexie, memory, noteSchema } from "./room-flock.ts"

// RxDB lets one process open a database twice only in dev mode, which requires a validator.
const validated = (storage: RxStorage<unknown, unknown>): RxStorage<unknown, unknown> =>
  wrappedValidateAjvStorage({ storage }) as unknown as RxStorage<unknown, unknown>
export const inMemory = validated(memory())
/** With this storage, tabs hear of each other over a channel, as in browsers. */
export const indexed = validated(dexie())

export interface TabOptions {
  readonly storage?: RxStorage<unknown, unknown>
  readonly creator?: Partial<RxCollectionCreator>
}

/** Tabs of one browser in one process, for each test of a file. */
export function useTabs() {
  const navigatorBefore = Object.getOwnPropertyDescriptor(globalThis, "navigator")
  beforeAll(() => {
    disableWarnings()
    addRxPlugin(RxDBDevModePlugin)
    Object.defineProperty(globalThis, "navigator", { value: { locks: createLocks() }, configurable: true })
  })
  afterAll(() => {
    if (navigatorBefore === undefined) Reflect.deleteProperty(globalThis, "navigator")
    else Object.defineProperty(globalThis, "navigator", navigatorBefore)
  })

  const databases: RxDatabase[] = []
  const rooms: Room[] = []
  afterEach(async () => {
    await Promise.all(rooms.splice(0).map((room) => room.close()))
    for (const database of databases.splice(0)) await database.close()
  })

  return {
    /** A tab; the same name means the same storage. */
    async tab(name: string, { storage = inMemory, creator = {} }: TabOptions = {}): Promise<RxCollection> {
      const database = await createRxDatabase({ name, storage, multiInstance: true, ignoreDuplicate: true })
      databases.push(database)
      const { notes } = await database.addCollections({ notes: { schema: noteSchema, ...creator } })
      return notes as RxCollection
    },
    /** Rooms from one call are peers of each other. */
    createRooms(): () => Promise<Room> {
      const invite = createInvite()
      const network = createMemoryNetwork()
      return async () => {
        const room = await openRoom({
          invite,
          identity: memoryIdentity(),
          transports: [network.transport()],
        })
        rooms.push(room)
        return room
      }
    },
  }
}

/** Web Locks as in browsers, for the tabs of this process: one holder per name, first come, first served. */
function createLocks() {
  const queues = new Map<string, (() => void)[]>()
  const held = new Set<string>()
  return {
    async request(
      name: string,
      { signal, ifAvailable = false }: { signal?: AbortSignal; ifAvailable?: boolean },
      work: (lock: object | null) => Promise<unknown>,
    ): Promise<unknown> {
      if (held.has(name) && ifAvailable) return work(null)
      if (held.has(name))
        await new Promise<void>((resolve, reject) => {
          queues.set(name, [...(queues.get(name) ?? []), resolve])
          signal?.addEventListener("abort", () => {
            queues.set(
              name,
              (queues.get(name) ?? []).filter((one) => one !== resolve),
            )
            reject(signal.reason)
          })
        })
      held.add(name)
      try {
        return await work({ name })
      } finally {
        const [next, ...rest] = queues.get(name) ?? []
        queues.set(name, rest)
        if (next === undefined) held.delete(name)
        else next()
      }
    },
  }
}
