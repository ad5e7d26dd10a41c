import { type Store, type StoreChange, StoreError } from "../ports/store.ts"
import type { SeededRandom } from "./seeded-random.ts"
import type { SimulatedTime } from "./simulated-clock.ts"

/** What a disk holds at one moment. */
export type DiskImage = ReadonlyMap<string, Uint8Array>

/** The disk of one simulated device: it outlives processes, but a crash loses what was not synced. */
export interface SimulatedDisk {
  /** Opens it for a new process. */
  open(): Store
  /**
   * The process or the machine dies: pending promises never settle, and of what was not synced only the first few
   * changes are kept, at random.
   */
  crash(): CrashLosses
  /** The most changes that one pending call of `write` has. If there are several, a crash now can tear that call. */
  readonly widestPending: number
  /** What is durable now. */
  image(): DiskImage
  /** Restores a backup, or another device's profile. Only between `crash` and `open`. */
  restore(image: DiskImage): void
  /** From now on each write takes this long to become durable. */
  setSyncMs(from: number, to: number): void
  /** Each write fails with this probability, having changed nothing. */
  setFailureRate(probability: number): void
}

/** What a crash took. */
export interface CrashLosses {
  /** Changes that had not become durable. */
  readonly unsynced: number
  /** Calls of `write` of which only a part was kept, and values that were cut short. */
  readonly torn: number
}

/** The world of the disk. */
export interface SimulatedDiskOptions {
  readonly time: SimulatedTime
  readonly random: SeededRandom
  /** Keys whose value a crash may cut short: caches that check themselves. */
  readonly isTearable?: (key: string) => boolean
}

interface PendingWrite {
  readonly changes: readonly StoreChange[]
  readonly cancel: () => void
}

/** An empty disk: writes take 1 to 5 virtual milliseconds to become durable, and none fails, until it is told otherwise. */
export function createSimulatedDisk(options: SimulatedDiskOptions): SimulatedDisk {
  const { time, random, isTearable = () => false } = options
  let values = new Map<string, Uint8Array>()
  let pending: PendingWrite[] = []
  let process = 0
  let sync: readonly [number, number] = [1, 5]
  let failureRate = 0
  /** Writes become durable in their order. */
  let lastSyncAt = 0

  const apply = ({ key, value }: StoreChange): void => {
    if (value === null) values.delete(key)
    else values.set(key, value)
  }

  /** A process that died waits for ever, like everything that was running in it. */
  const inProcess = <T>(owner: number, answer: () => T, afterMs: number): Promise<T> =>
    new Promise((resolve, reject) => {
      time.schedule(afterMs, () => {
        if (owner !== process) return
        try {
          resolve(answer())
        } catch (error) {
          reject(error)
        }
      })
    })

  const write = (owner: number, changes: readonly StoreChange[]): Promise<void> =>
    new Promise((resolve, reject) => {
      if (owner !== process) return
      const copied = changes.map(({ key, value }) => ({ key, value: value?.slice() ?? null }))
      const fails = random.chance(failureRate)
      lastSyncAt = Math.max(lastSyncAt, time.now + random.between(sync[0], sync[1]))
      const cancel = time.scheduleAt(lastSyncAt, () => {
        pending = pending.filter((one) => one !== entry)
        if (fails) {
          reject(new StoreError("write-failed", "The simulated disk refused to write."))
          return
        }
        for (const change of copied) apply(change)
        resolve()
      })
      const entry: PendingWrite = { changes: fails ? [] : copied, cancel }
      pending.push(entry)
    })

  const crash = (): CrashLosses => {
    process++
    const lost = pending
    pending = []
    lastSyncAt = 0
    let unsynced = 0
    let torn = 0
    let reachedEnd = false
    for (const { changes, cancel } of lost) {
      cancel()
      const kept = reachedEnd ? 0 : cutPoint(changes.length, random)
      for (const change of changes.slice(0, kept)) apply(change)
      const cut = reachedEnd ? undefined : changes[kept]
      if (cut?.value != null && isTearable(cut.key)) {
        apply({ key: cut.key, value: cut.value.slice(0, random.below(cut.value.length)) })
        torn++
      }
      if (kept > 0 && kept < changes.length) torn++
      if (kept < changes.length) reachedEnd = true
      unsynced += changes.length - kept
    }
    return { unsynced, torn }
  }

  return {
    open() {
      const owner = process
      let closed = false
      const assertOpen = (): void => {
        if (closed) throw new StoreError("store-closed", "This store was closed; open a new one.")
      }
      return {
        async get(key) {
          assertOpen()
          return inProcess(owner, () => values.get(key)?.slice() ?? null, 0)
        },
        async *entries(prefix) {
          assertOpen()
          const list = (): readonly (readonly [string, Uint8Array])[] =>
            [...values]
              .filter(([key]) => key.startsWith(prefix))
              .map(([key, value]) => [key, value.slice()] as const)
              .toSorted(([a], [b]) => (a < b ? -1 : 1))
          yield* await inProcess(owner, list, 0)
        },
        async write(changes) {
          assertOpen()
          await write(owner, changes)
        },
        async close() {
          if (closed) return
          closed = true
          if (pending.length > 0) await inProcess(owner, () => undefined, lastSyncAt - time.now)
        },
      }
    },
    crash,
    get widestPending() {
      return pending.reduce((widest, { changes }) => Math.max(widest, changes.length), 0)
    },
    image: () => new Map(values),
    restore(image) {
      values = new Map(image)
    },
    setSyncMs(from, to) {
      sync = [from, to]
    },
    setFailureRate(probability) {
      failureRate = probability
    },
  }
}

/** How many changes a crash keeps: some but not all if possible, since that is hardest to survive. */
function cutPoint(changes: number, random: SeededRandom): number {
  return changes > 1 ? 1 + random.below(changes - 1) : random.below(changes + 1)
}
