// A tab with a collection, in a room that one tab of its profile holds. With Dexie, the tabs share the collection.
import { openRoom, type Room } from "@dunlin/core"
import { tabs } from "@dunlin/core/tabs"
import { webrtc } from "@dunlin/core/webrtc"
import { mergeFields, rxdbReplica, type RxdbHandle } from "@dunlin/rxdb"
import { createRxDatabase, type RxCollection, type RxStorage } from "rxdb/plugins/core"
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { type CrashNote, crashSchema } from "./crash-schema.ts"

type Storage = "dexie" | "memory"

const storages: Readonly<Record<Storage, () => RxStorage<unknown, unknown>>> = {
  dexie: getRxStorageDexie,
  memory: getRxStorageMemory,
}
let storage: Storage = "dexie"
let notes: RxCollection<CrashNote> | null = null
let room: Room | null = null
let handle: RxdbHandle<CrashNote> | null = null
const outcomes: string[] = []

export interface StartOptions {
  readonly invite: string
  readonly signaling: string
  readonly storage: Storage
}

export async function start({ invite, signaling, ...options }: StartOptions): Promise<void> {
  ;({ storage } = options)
  room = await openRoom({ invite, transports: [tabs(), webrtc({ signaling })] })
  await replicate()
}

/** Opens the database and shares its collection in the open room. */
export async function replicate(): Promise<void> {
  const database = await createRxDatabase({
    name: "shared",
    storage: storages[storage](),
    multiInstance: true,
  })
  const made = await database.addCollections({
    notes: { schema: crashSchema, conflictHandler: mergeFields<CrashNote>() },
  })
  notes = made.notes
  handle = await opened(room).replicate(rxdbReplica(notes))
}

export async function insert(id: string): Promise<void> {
  await opened(notes).insert({ id, text: "written" })
}

let writes = false

/** Inserts one document after the other, several at a time. */
export function insertForEver(prefix: string): void {
  writes = true
  const go = async (lane: number): Promise<void> => {
    for (let n = 0; writes; n++) await insert(`${prefix} ${lane}-${n}`)
  }
  for (const lane of [1, 2, 3]) void go(lane)
}

export function insertNoMore(): void {
  writes = false
}

export async function ids(): Promise<readonly string[]> {
  return (await opened(notes).find().exec()).map(({ id }) => id)
}

export function standsBy(): boolean {
  return opened(handle).standingBy.get()
}

/** What the room's diagnostics report about replicas. */
export function replicaReports(): readonly string[] {
  return opened(room)
    .diagnostics.recent()
    .flatMap((one) => (one.type === "replica" ? [one.report.type] : []))
}

/** Starts to wait for `synced()` of handle and room without a limit; `outcomesOfSynced` has the results. */
export function beginSynced(): void {
  const { signal } = new AbortController()
  for (const [name, owner] of Object.entries({ handle: opened(handle), room: opened(room) }))
    void owner.synced({ signal }).then(
      () => outcomes.push(`${name}: held`),
      (error: unknown) => outcomes.push(`${name}: ${(error as { readonly code?: string }).code}`),
    )
}

export function outcomesOfSynced(): readonly string[] {
  return outcomes.toSorted()
}

/** What `synced()` without a limit of one's own rejects with. */
export function codeOfSynced(): Promise<string | undefined> {
  return opened(handle)
    .synced()
    .then(
      () => undefined,
      (error: unknown) => (error as { readonly code?: string }).code,
    )
}

/** Leaves the collection to another tab, if one waits for it. */
export async function stepBack(): Promise<void> {
  await opened(handle).close()
  handle = await opened(room).replicate(rxdbReplica(opened(notes)))
}

export async function closeDatabase(): Promise<void> {
  await opened(notes).database.close()
}

export async function closeHandle(): Promise<void> {
  await opened(handle).close()
}

export async function closeRoom(): Promise<void> {
  await opened(room).close()
}

/** From now on nobody hears of this tab's writes, as if its process ended after each write, before announcing it. */
export function fallSilent(): void {
  BroadcastChannel.prototype.postMessage = () => {}
}

/** The same, except that the tab that replicates is still asked and answers. */
export function fallSilentToRxdb(): void {
  const { postMessage } = BroadcastChannel.prototype
  BroadcastChannel.prototype.postMessage = function post(this: BroadcastChannel, message: unknown): void {
    if (this.name.startsWith("dunlin")) postMessage.call(this, message)
  }
}

function opened<Thing>(thing: Thing | null): Thing {
  if (thing === null) throw new Error("call start first")
  return thing
}
