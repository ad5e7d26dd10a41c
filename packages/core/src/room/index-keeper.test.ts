import { sha256 } from "@noble/hashes/sha2.js"
import { describe, expect, test } from "vitest"
import { type AttachedReplica, ReplicaError, type ScanPage } from "../ports/replica.ts"
import { createKeyedDigest } from "../protocol/keyed-digest.ts"
import { sameBytes } from "../protocol/same-bytes.ts"
import { encodeUtf8 } from "../protocol/utf8.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import { createIndexKeeper, type IndexKeeper } from "./index-keeper.ts"

const digests = createKeyedDigest(new Uint8Array(32).fill(1))
const roomTag = new Uint8Array(32).fill(2)
const hashOf = (value: string): Uint8Array => sha256(encodeUtf8(value))

/** A store that remembers every change in order; its cursor is the number of changes seen. */
function createDisk() {
  const log: { key: string; value: string | null }[] = []
  const disk: {
    readonly log: { key: string; value: string | null }[]
    blob: Uint8Array | null
    saves: number
    readonly scannedFrom: (number | null)[]
    failing: boolean
    put(key: string, value: string | null): void
    readonly attached: AttachedReplica
  } = {
    log,
    blob: null,
    saves: 0,
    scannedFrom: [],
    failing: false,
    put: (key: string, value: string | null) => void log.push({ key, value }),
    attached: {
      async *scan(since: Uint8Array | null): AsyncIterable<ScanPage> {
        const from = since === null ? 0 : (since[0] as number)
        disk.scannedFrom.push(since === null ? null : from)
        if (from > log.length) throw new ReplicaError("stale-cursor", "The cursor is of another store.")
        for (const [at, { key, value }] of log.slice(from).entries()) {
          const entry = { key, stateHash: value === null ? null : hashOf(value) }
          yield { entries: [entry], cursor: Uint8Array.of(from + at + 1) }
        }
        if (from === log.length) yield { entries: [], cursor: Uint8Array.of(from) }
      },
      loadIndex: async () => disk.blob,
      saveIndex: async (blob: Uint8Array) => {
        if (disk.failing) throw new Error("the disk is full")
        disk.saves++
        disk.blob = blob
      },
    } as Partial<AttachedReplica> as AttachedReplica,
  }
  return disk
}

type Disk = ReturnType<typeof createDisk>

async function open(disk: Disk, tag = roomTag) {
  const time = createSimulatedTime()
  const failures: unknown[] = []
  const keeper = createIndexKeeper({
    attached: disk.attached,
    digests,
    kind: 1,
    roomTag: tag,
    clock: time.clock(),
    accepts: () => true,
    onFailure: (cause) => void failures.push(cause),
  })
  await keeper.open()
  return { time, keeper, failures }
}

/** Makes a change durable, and then reports it. */
function change(disk: Disk, keeper: IndexKeeper, key: string, value: string): void {
  disk.put(key, value)
  keeper.set(digests.position(key), digests.digest(1, key, hashOf(value)), key)
}

function holds(keeper: IndexKeeper, key: string, value: string): boolean {
  const held = keeper.index.get(digests.position(key))?.digest
  return held !== undefined && sameBytes(held, digests.digest(1, key, hashOf(value)))
}

describe("opening", () => {
  test("without a stored index scans everything", async () => {
    const disk = createDisk()
    disk.put("a", "1")
    disk.put("a", "2")
    disk.put("b", "1")
    const { keeper } = await open(disk)
    expect([keeper.index.count, holds(keeper, "a", "2"), holds(keeper, "b", "1")]).toEqual([2, true, true])
  })

  test("leaves out what was purged while the scan ran", async () => {
    const disk = createDisk()
    disk.put("a", "1")
    disk.put("b", "1")
    disk.put("a", null)
    disk.put("c", "1")
    const { keeper } = await open(disk)
    expect([keeper.index.count, holds(keeper, "a", "1"), holds(keeper, "c", "1")]).toEqual([2, false, true])
  })

  test("with a stored index replays only what is newer", async () => {
    const disk = createDisk()
    disk.put("a", "1")
    const first = await open(disk)
    await first.keeper.close()
    disk.put("b", "1")
    disk.put("a", null)
    disk.scannedFrom.length = 0
    const { keeper } = await open(disk)
    expect(disk.scannedFrom).toEqual([1])
    expect([keeper.index.count, holds(keeper, "b", "1")]).toEqual([1, true])
  })

  test("scans everything when the stored index is damaged, of another room, or ahead of the disk", async () => {
    const damages: ((disk: Disk) => void)[] = [
      (disk) => void (disk.blob as Uint8Array).fill(0xff, 40, 41),
      (disk) => void (disk.blob = (disk.blob as Uint8Array).slice(0, 20)),
      (disk) => void disk.log.splice(1),
    ]
    for (const damage of damages) {
      const disk = createDisk()
      disk.put("a", "1")
      disk.put("b", "1")
      await (await open(disk)).keeper.close()
      damage(disk)
      disk.scannedFrom.length = 0
      const { keeper } = await open(disk)
      expect(disk.scannedFrom.at(-1)).toBeNull()
      expect([keeper.index.count, holds(keeper, "a", "1")]).toEqual([disk.log.length, true])
    }
    const disk = createDisk()
    disk.put("a", "1")
    await (await open(disk)).keeper.close()
    disk.scannedFrom.length = 0
    await open(disk, new Uint8Array(32).fill(9))
    expect(disk.scannedFrom).toEqual([null])
  })
})

describe("storing", () => {
  test("happens some seconds after a change, and not again without one", async () => {
    const disk = createDisk()
    const { time, keeper } = await open(disk)
    change(disk, keeper, "a", "1")
    await time.runFor(5_900)
    expect(disk.saves).toBe(0)
    await time.runFor(200)
    expect(disk.saves).toBe(1)
    await time.runFor(60_000)
    await keeper.close()
    expect(disk.saves).toBe(1)
  })

  test("waits for a pause, and no longer than a minute", async () => {
    const disk = createDisk()
    const { time, keeper } = await open(disk)
    for (let second = 0; second < 20; second++) {
      change(disk, keeper, `first ${second}`, "1")
      await time.runFor(1_000)
    }
    expect(disk.saves).toBe(0)
    await time.runFor(12_000)
    expect(disk.saves).toBe(1)
    for (let second = 0; second < 65; second++) {
      change(disk, keeper, `then ${second}`, "1")
      await time.runFor(1_000)
    }
    expect(disk.saves).toBe(2)
    await keeper.close()
  })

  test("happens sooner after many changes", async () => {
    const disk = createDisk()
    const { time, keeper } = await open(disk)
    disk.put("k", "v")
    const digest = digests.digest(1, "k", hashOf("v"))
    for (let n = 0; n < 131_072; n++) keeper.set(digests.position("k"), digest, "k")
    await time.runFor(1)
    expect(disk.saves).toBe(1)
  })

  test("waits while the disk is ahead of the index, so that no change is skipped by the cursor", async () => {
    const disk = createDisk()
    const { time, keeper } = await open(disk)
    change(disk, keeper, "a", "1")
    disk.put("b", "durable, and not reported yet")
    await time.runFor(20_000)
    expect(disk.saves).toBe(0)
    keeper.set(digests.position("b"), digests.digest(1, "b", hashOf("durable, and not reported yet")), "b")
    await time.runFor(10_000)
    expect(disk.saves).toBe(1)
    disk.put("c", "1")
    const again = await open(disk)
    expect([again.keeper.index.count, holds(again.keeper, "c", "1")]).toEqual([3, true])
  })

  test("that fails is told, tried again, and stops nothing", async () => {
    const disk = createDisk()
    const { time, keeper, failures } = await open(disk)
    disk.failing = true
    change(disk, keeper, "a", "1")
    await time.runFor(6_000)
    expect(failures).toHaveLength(1)
    disk.failing = false
    await time.runFor(6_000)
    expect(disk.saves).toBe(1)
  })

  test("is the last thing before closing, and leaves no timer", async () => {
    const disk = createDisk()
    const { time, keeper } = await open(disk)
    change(disk, keeper, "a", "1")
    await keeper.close()
    expect([disk.saves, time.pending]).toEqual([1, 0])
  })
})
