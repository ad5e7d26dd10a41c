import { describe, expect, test, vi } from "vitest"
import type { AttachedReplica, BlobRef, BlobStore } from "../ports/replica.ts"
import type { ChunkFrame, ChunkWantFrame } from "../protocol/frame.ts"
import { createInbox, type Receipt } from "../protocol/inbox.ts"
import { CHUNK_BYTES } from "../protocol/limits.ts"
import { decodeMessage } from "../protocol/message.ts"
import { createOutbox } from "../protocol/outbox.ts"
import { createSimulatedTime, type SimulatedTime } from "../testing/simulated-clock.ts"
import { type BlobExchange, createBlobExchange } from "./blob-exchange.ts"
import type { LinkReplica } from "./link-replica-api.ts"

const blob: BlobRef = { digest: new Uint8Array(32).fill(4), size: 40 * CHUNK_BYTES + 100 }
const CHUNKS = 41
const lengthOf = (index: number): number => Math.min(CHUNK_BYTES, blob.size - index * CHUNK_BYTES)

function createStore(held: Iterable<number>) {
  const chunks = new Set(held)
  const store = {
    chunks,
    writes: 0,
    corrupt: false,
    failing: false,
    blobs: {
      missing: async () =>
        Array.from({ length: CHUNKS }, (_, index) => index).filter((index) => !chunks.has(index)),
      read: async (_key, _digest, index) => {
        if (store.failing) throw new Error("the disk is gone")
        return chunks.has(index) ? new Uint8Array(lengthOf(index)) : null
      },
      write: async (_key, _ref, index) => {
        store.writes++
        if (store.corrupt) return "corrupt"
        chunks.add(index)
        return chunks.size === CHUNKS ? "complete" : "stored"
      },
    } satisfies BlobStore as BlobStore,
  }
  return store
}

type Store = ReturnType<typeof createStore>

function linkReplica(store: Store | null): LinkReplica {
  const attached: Partial<AttachedReplica> = store === null ? {} : { blobs: store.blobs }
  const own = {
    theirSlot: 0,
    closed: false,
    permissions: { send: true, receive: true },
    shared: {
      slot: 0,
      joining: 0,
      attached,
      index: { get: () => ({ key: "k", digest: new Uint8Array(16) }) },
    },
  }
  return own as unknown as LinkReplica
}

interface Side {
  readonly exchange: BlobExchange
  readonly own: LinkReplica
  readonly chunkFrames: ChunkFrame[]
  readonly wants: ChunkWantFrame[]
  settled: number
}

interface LinkShape {
  readonly bytesPerMs?: number
  /** Something else arrives all the time. */
  readonly isBusy?: boolean
}

/** Both ends of a link, joined by real outboxes and inboxes. */
function createLink(
  time: SimulatedTime,
  stores: readonly [Store | null, Store | null],
  { bytesPerMs = Number.POSITIVE_INFINITY, isBusy = false }: LinkShape = {},
): readonly [Side, Side] {
  const sides: Side[] = []
  let freeAt = 0
  for (const at of [0, 1]) {
    const inbox = createInbox({ acquire: () => true, release: () => {}, isWanted: () => false })
    const clock = time.clock()
    const outbox = createOutbox({
      maxMessageBytes: 262_144,
      buffered: () => 0,
      send: (lane, bytes) => {
        const copy = bytes.slice()
        if (lane === "bulk") freeAt = Math.max(freeAt, time.now) + copy.length / bytesPerMs
        time.scheduleAt(5 + (lane === "bulk" ? freeAt : time.now), () => deliver(1 - at, lane, copy))
      },
    })
    let heardAt = 0
    const receive = (lane: "control" | "bulk", bytes: Uint8Array): void => {
      if (lane === "bulk") heardAt = time.now
      for (const { frame, size } of decodeMessage(bytes)) {
        if (frame.type === "credit") outbox.credited(frame.total)
        else if (frame.type === "chunk-want") {
          side.wants.push(frame)
          side.exchange.wanted(side.own, frame)
        } else if (frame.type === "chunk" || frame.type === "fragment") {
          const payload = inbox.receive(frame, size)
          if (payload?.frame.type !== "chunk") continue
          side.chunkFrames.push(payload.frame)
          side.exchange.received(payload.frame, payload.receipt)
        }
      }
      side.exchange.pump()
      flush()
    }
    const flush = (): void => {
      for (const frame of inbox.answers()) outbox.control(frame)
      outbox.flush()
    }
    const settle = (receipt: Receipt): void => {
      expect(receipt.done).toBe(false)
      side.settled++
      inbox.settle(receipt)
    }
    const side: Side & { receive: typeof receive } = {
      exchange: createBlobExchange({
        outbox,
        clock,
        heardAt: () => (isBusy ? time.now : heardAt),
        inbox: { settle },
        flush,
      }),
      own: linkReplica(stores[at] ?? null),
      chunkFrames: [],
      wants: [],
      settled: 0,
      receive,
    }
    sides.push(side)
  }
  function deliver(to: number, lane: "control" | "bulk", bytes: Uint8Array): void {
    ;(sides[to] as Side & { receive(lane: "control" | "bulk", bytes: Uint8Array): void }).receive(lane, bytes)
  }
  return [sides[0] as Side, sides[1] as Side]
}

interface Fetched {
  /** Tells positions apart. */
  readonly at?: number
  readonly heldBytes?: number
  readonly blobs?: readonly BlobRef[]
  readonly name?: string
  readonly ends?: string[]
}

function fetchAt(
  { exchange, own }: Side,
  { at = 3, heldBytes = 100, blobs = [blob], name = "", ends = [] }: Fetched = {},
): { readonly ends: string[]; readonly taken: boolean } {
  const position = new Uint8Array(16)
  new DataView(position.buffer).setUint32(0, at)
  const ended = (again: boolean): void => void ends.push(`${again ? "retry" : "drop"}${name}`)
  return { ends, taken: exchange.fetch({ own, key: "k", position, blobs, heldBytes, ended }) }
}

describe("a blob", () => {
  test("comes chunk by chunk, a bounded number at a time, and every receipt is settled once", async () => {
    const time = createSimulatedTime()
    const [mine, theirs] = [createStore([]), createStore(Array.from({ length: CHUNKS }, (_, at) => at))]
    const [near, far] = createLink(time, [mine, theirs])
    const { ends, taken } = fetchAt(near)
    await time.runFor(5_000)
    expect([taken, ends, mine.chunks.size]).toEqual([true, ["retry"], CHUNKS])
    expect(near.settled).toBe(CHUNKS)
    expect(far.wants).toHaveLength(3)
    near.exchange.close()
    far.exchange.close()
    expect(time.pending).toBe(0)
  })

  test("goes on where it broke off", async () => {
    const time = createSimulatedTime()
    const mine = createStore(Array.from({ length: 38 }, (_, at) => at))
    const [near] = createLink(time, [mine, createStore([38, 39, 40])])
    const { ends } = fetchAt(near)
    await time.runFor(5_000)
    expect([ends, mine.writes]).toEqual([["retry"], 3])
  })

  test("that the peer does not hold, or cannot read, is dropped at once", async () => {
    for (const failing of [false, true]) {
      const time = createSimulatedTime()
      const theirs = createStore(failing ? [0] : [])
      theirs.failing = failing
      const [near] = createLink(time, [createStore([]), theirs])
      const { ends } = fetchAt(near)
      await time.runFor(1_000)
      expect(ends).toEqual(["drop"])
      expect(near.settled).toBe(near.chunkFrames.length)
    }
  })

  test("of an entry that is gone at the peer is dropped at once", async () => {
    const time = createSimulatedTime()
    const [near, far] = createLink(time, [createStore([]), createStore([0])], { isBusy: true })
    vi.spyOn(far.own.shared.index, "get").mockReturnValue(null)
    const { ends } = fetchAt(near)
    await time.runFor(1_000)
    expect(ends).toEqual(["drop"])
    expect(near.settled).toBe(near.chunkFrames.length)
  })

  test("that turns out corrupt is dropped", async () => {
    const time = createSimulatedTime()
    const mine = createStore([])
    mine.corrupt = true
    const [near] = createLink(time, [mine, createStore(Array.from({ length: CHUNKS }, (_, at) => at))])
    const { ends } = fetchAt(near)
    await time.runFor(5_000)
    expect(ends).toEqual(["drop"])
    expect(near.settled).toBe(near.chunkFrames.length)
  })

  test("that never comes while the link brings all else is given up after half an hour", async () => {
    const time = createSimulatedTime()
    const [near, far] = createLink(time, [createStore([]), createStore([])], { isBusy: true })
    far.exchange.close()
    const { ends } = fetchAt(near)
    await time.runFor(1_790_000)
    expect(ends).toEqual([])
    await time.runFor(30_000)
    expect(ends).toEqual(["drop"])
  })

  test("of a peer that never answers is given up, and leaves no timer", async () => {
    const time = createSimulatedTime()
    const [near, far] = createLink(time, [createStore([]), createStore([])])
    far.exchange.close()
    const { ends } = fetchAt(near)
    await time.runFor(29_000)
    expect(ends).toEqual([])
    await time.runFor(20_000)
    expect([ends, time.pending]).toEqual([["drop"], 0])
  })

  test("whose chunks stand behind those of others on a slow path is waited for, and asked for once", async () => {
    const time = createSimulatedTime()
    const [near, far] = createLink(time, [createStore([]), createStore(Array(CHUNKS).keys())], {
      bytesPerMs: 50,
    })
    const ends: string[] = []
    for (let at = 0; at < 5; at++) fetchAt(near, { at, ends })
    // The first chunk of the fifth entry comes after 84 s.
    await time.runFor(1_000_000)
    expect(ends).toEqual(Array(5).fill("retry"))
    expect(far.wants.length).toBeLessThanOrEqual(5 * Math.ceil(CHUNKS / 16))
    expect(near.chunkFrames.length).toBeLessThanOrEqual(5 * CHUNKS)
  })

  test("is neither looked for nor read at a replica that has left the room", async () => {
    for (const leaving of [0, 1]) {
      const time = createSimulatedTime()
      const stores = [createStore([]), createStore(Array(CHUNKS).keys())] as const
      const sides = createLink(time, stores)
      const calls = [vi.spyOn(stores[0].blobs, "missing"), vi.spyOn(stores[1].blobs, "read")]
      const { ends } = fetchAt(sides[0])
      await time.runFor(12)
      Object.assign(sides[leaving as 0 | 1].own, { closed: true })
      const before = calls.map(({ mock }) => mock.calls.length)
      await time.runFor(60_000)
      expect(calls[leaving]?.mock.calls).toHaveLength(before[leaving] as number)
      expect(ends).toEqual(["drop"])
    }
  })

  test("cannot be fetched by a replica without blobs", async () => {
    const time = createSimulatedTime()
    const [near] = createLink(time, [null, createStore([])])
    expect(fetchAt(near).ends).toEqual(["drop"])
  })
})

describe("a request for more chunks than an honest peer asks for", () => {
  const everything = (size: number): ChunkWantFrame => ({
    type: "chunk-want",
    slot: 0,
    position: new Uint8Array(16).fill(3),
    blob: blob.digest,
    size,
    first: 0,
    bitmap: new Uint8Array(1_024).fill(0xff),
  })
  const LONG = 8_192 * CHUNK_BYTES

  test("is answered once where the entry is gone, or nothing of the blob is held", async () => {
    for (const isGone of [true, false]) {
      const time = createSimulatedTime()
      const theirs = createStore([])
      const reads = vi.spyOn(theirs.blobs, "read")
      const [near, far] = createLink(time, [createStore([]), theirs])
      if (isGone) vi.spyOn(far.own.shared.index, "get").mockReturnValue(null)
      far.exchange.wanted(far.own, everything(LONG))
      await time.runFor(60_000)
      expect(near.chunkFrames.map(({ index, bytes }) => [index, bytes.length])).toEqual([[0, 0]])
      expect(reads).toHaveBeenCalledTimes(isGone ? 0 : 1)
    }
  })

  test("gets as many as an honest one, and none beyond the end of the blob", async () => {
    for (const [size, first, answers] of [
      [LONG, 0, 16],
      [blob.size, 0, 16],
      [blob.size, CHUNKS - 3, 3],
      [blob.size, CHUNKS, 0],
      [0, 0, 0],
    ] as const) {
      const time = createSimulatedTime()
      const [near, far] = createLink(time, [createStore([]), createStore(Array(CHUNKS).keys())])
      far.exchange.wanted(far.own, { ...everything(size), first })
      await time.runFor(60_000)
      expect(near.chunkFrames.map(({ index }) => index)).toEqual(
        Array.from({ length: answers }, (_, at) => first + at),
      )
    }
  })
})

describe("entries that wait for blobs", () => {
  test("are few enough to leave credit for the chunks, and one at least, however long it is", () => {
    const link = (): Side => createLink(createSimulatedTime(), [createStore([]), createStore([])])[0]
    const long = link()
    expect(fetchAt(long, { at: 1, heldBytes: 30_000_000 }).taken).toBe(true)
    expect(fetchAt(long, { at: 2, heldBytes: 1 }).taken).toBe(false)
    const many = link()
    expect(fetchAt(many, { at: 1, heldBytes: 700_000 }).taken).toBe(true)
    expect(fetchAt(many, { at: 2, heldBytes: 100_000 }).taken).toBe(false)
    expect(fetchAt(many, { at: 1, heldBytes: 100_000 }).taken).toBe(false)
    expect(fetchAt(many, { at: 1, heldBytes: 40_000 }).taken).toBe(true)
    expect(fetchAt(many, { at: 2, heldBytes: 8_000 }).taken).toBe(true)
    expect(fetchAt(many, { at: 3, heldBytes: 50_000 }).taken).toBe(false)
  })

  test("and came for one position are retried in their order, once the first has its data", async () => {
    const time = createSimulatedTime()
    const [near] = createLink(time, [createStore([]), createStore(Array(CHUNKS).keys())])
    const ends: string[] = []
    for (const name of [" 1", " 2", " 3"]) expect(fetchAt(near, { name, ends }).taken).toBe(true)
    await time.runFor(5_000)
    expect(ends).toEqual(["retry 1", "retry 2", "retry 3"])
    // What was held is free again.
    expect(fetchAt(near, { heldBytes: 786_432 }).taken).toBe(true)
  })

  test("behind one whose data the peer does not have are retried: theirs may be other data", async () => {
    const time = createSimulatedTime()
    const [near] = createLink(time, [createStore([]), createStore([])])
    const ends: string[] = []
    for (const name of [" 1", " 2"]) fetchAt(near, { name, ends })
    await time.runFor(1_000)
    expect(ends).toEqual(["drop 1", "retry 2"])
  })

  test("are asked for 64 at a time, and the next ones when those are given up", async () => {
    const time = createSimulatedTime()
    const [near, far] = createLink(time, [createStore([]), createStore([])])
    far.exchange.close()
    const ends: string[] = []
    for (let at = 0; at < 600; at++) fetchAt(near, { at, ends })
    await time.runFor(10_000)
    expect([far.wants.length, ends.length]).toEqual([64, 0])
    await time.runFor(600_000)
    expect([far.wants.length, ends.length, time.pending]).toEqual([600, 600, 0])
  })

  test("take as many places as their blobs are many and long, and one of them may take more than there are", async () => {
    const time = createSimulatedTime()
    const [near, far] = createLink(time, [createStore([]), createStore([])])
    far.exchange.close()
    const sized = (size: number): BlobRef => ({ digest: blob.digest, size })
    // What is asked for is given up after thirty seconds without a chunk, plus the time until that is noticed.
    for (let at = 0; at < 8; at++) fetchAt(near, { at, blobs: [sized(64_000_000)] })
    for (let at = 8; at < 10; at++) fetchAt(near, { at, blobs: Array.from({ length: 100 }, () => blob) })
    const asked: number[] = []
    for (const ms of [10_000, 35_000, 38_000, 38_000]) {
      await time.runFor(ms)
      asked.push(far.wants.length)
    }
    expect(asked).toEqual([4, 8, 9, 10])
  })

  test("are all served by a peer that holds their blobs", async () => {
    const time = createSimulatedTime()
    const [near] = createLink(time, [createStore([]), createStore(Array(CHUNKS).keys())])
    const ends: string[] = []
    for (let at = 0; at < 600; at++) fetchAt(near, { at, ends })
    await time.runFor(20_000)
    expect(ends.filter((end) => end === "retry")).toHaveLength(600)
  })

  test("are neither retried nor dropped once the link is closed", async () => {
    const time = createSimulatedTime()
    const theirs = createStore(Array.from({ length: CHUNKS }, (_, at) => at))
    const [near] = createLink(time, [createStore([]), theirs])
    const { ends } = fetchAt(near)
    await time.runFor(7)
    near.exchange.close()
    await time.runFor(60_000)
    expect(ends).toEqual([])
  })
})
