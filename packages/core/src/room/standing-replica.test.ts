import { afterEach, describe, expect, test } from "vitest"
import { memoryIdentity } from "../crypto/identity.ts"
import type { Replica, ReplicaHost, StandingReplica } from "../ports/replica.ts"
import { createMemoryReplica, type MemoryCollection } from "../testing/memory-replica.ts"
import { createMemoryNetwork } from "../testing/memory-transport.ts"
import { createInvite } from "./invite.ts"
import { openRoom } from "./open-room.ts"
import { type Room, RoomError } from "./room.ts"

const rooms: Room[] = []
afterEach(async () => {
  await Promise.all(rooms.splice(0).map((room) => room.close()))
})

/** A replica in a tab that stands by, with what the test needs to drive and observe it. */
interface Waiting {
  readonly replica: Replica<{ readonly things?: MemoryCollection }>
  readonly handle: { readonly things?: MemoryCollection }
  host(): ReplicaHost
  /** Its turn has come, or never will. */
  turn(error?: unknown): void
  /** Settles the questions of `synced()`. */
  answer(error?: unknown): void
  readonly asked: Parameters<StandingReplica["synced"]>[0][]
}

/** A replica that has to wait for its turn. */
function createWaiting(): Waiting {
  const inner = createMemoryReplica({ name: "things" })
  const handle: { things?: MemoryCollection } = {}
  const asked: Waiting["asked"] = []
  const answers: ((error?: unknown) => void)[] = []
  let host: ReplicaHost | null = null
  let turn = (_error?: unknown): void => {}
  return {
    replica: {
      ...inner,
      async attach(given, options) {
        host = given
        options?.standBy?.({
          handle,
          synced: (wait) =>
            new Promise((resolve, reject) => {
              asked.push(wait)
              answers.push((error) => (error === undefined ? resolve() : reject(error)))
            }),
        })
        await new Promise<void>((resolve, reject) => {
          turn = (error) => (error === undefined ? resolve() : reject(error))
          options?.signal?.addEventListener("abort", () => reject(options.signal?.reason))
        })
        const attached = await inner.attach(given)
        handle.things = attached.handle
        return { ...attached, handle }
      },
    },
    handle,
    host: () => host as ReplicaHost,
    turn: (error) => turn(error),
    answer: (error) => answers.splice(0).forEach((settle) => settle(error)),
    asked,
  }
}

/** Two linked rooms; the second already shares the things. */
async function createPair() {
  const network = createMemoryNetwork()
  const invite = createInvite()
  const open = async (): Promise<Room> => {
    const room = await openRoom({ invite, identity: memoryIdentity(), transports: [network.transport()] })
    rooms.push(room)
    return room
  }
  const [room, far] = [await open(), await open()]
  const things = await far.replicate(createMemoryReplica({ name: "things" }))
  await expect.poll(() => room.peers.get().length).toBe(1)
  return { room, far, things }
}

/** Long enough for whatever would be wrong to happen. */
const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100))
const reportsOf = (room: Room) =>
  room.diagnostics.recent().flatMap((one) => (one.type === "replica" ? [one.report] : []))

describe("a replica that stands by", () => {
  test("is there for the application at once, and for peers when its turn comes", async () => {
    const { room, far, things } = await createPair()
    await things.set("far", { n: 1 })
    const waiting = createWaiting()
    expect(await room.replicate(waiting.replica)).toBe(waiting.handle)
    await quiet()
    expect(far.peers.get()[0]?.replicas.get("things")?.phase).toBe("waiting")
    await expect(room.replicate(waiting.replica)).rejects.toMatchObject({ code: "duplicate-name" })
    waiting.turn()
    await expect.poll(() => waiting.handle.things?.get("far")).toEqual({ n: 1 })
    expect(reportsOf(room)).toEqual([])
  })

  test("is asked by synced(), which nobody's holding of nothing settles", async () => {
    const { room } = await createPair()
    const waiting = createWaiting()
    await room.replicate(waiting.replica)
    let outcome = "open"
    void room.synced({ peers: 1 }).then(() => (outcome = "held"))
    await quiet()
    expect(outcome).toBe("open")
    expect(waiting.asked).toEqual([{ peers: 1 }])
    waiting.answer()
    await expect.poll(() => outcome).toBe("held")

    const refused = room.synced()
    await expect.poll(() => waiting.asked.length).toBe(2)
    waiting.answer(new RoomError("refused", "because"))
    await expect(refused).rejects.toMatchObject({ code: "refused", message: "because" })
  })

  test("is asked beside those that are attached, which need no peer the less", async () => {
    const { room, far } = await createPair()
    await (await room.replicate(createMemoryReplica({ name: "others" }))).set("k", { n: 1 })
    const waiting = createWaiting()
    await room.replicate(waiting.replica)
    let outcome = "open"
    void room.synced().then(() => (outcome = "held"))
    await expect.poll(() => waiting.asked.length).toBe(1)
    waiting.answer()
    await quiet()
    expect(outcome).toBe("open")
    await far.replicate(createMemoryReplica({ name: "others" }))
    await expect.poll(() => outcome).toBe("held")
  })

  test("finds its host waiting until it is attached", async () => {
    const { room, things } = await createPair()
    const waiting = createWaiting()
    await room.replicate(waiting.replica)
    let outcome = "open"
    void waiting
      .host()
      .synced()
      .then(() => (outcome = "held"))
    await quiet()
    expect(outcome).toBe("open")
    waiting.turn()
    await expect.poll(() => outcome).toBe("held")
    await waiting.handle.things?.set("near", { n: 2 })
    await waiting.host().synced()
    expect(things.get("near")).toEqual({ n: 2 })
  })

  test("is reported when it cannot take over, and leaves its name to another", async () => {
    const { room } = await createPair()
    const waiting = createWaiting()
    await room.replicate(waiting.replica)
    const cause = new Error("the disk is gone")
    waiting.turn(cause)
    await expect.poll(() => reportsOf(room)).toMatchObject([{ type: "warning", cause }])
    await room.replicate(createMemoryReplica({ name: "things" }))
  })

  test("is asked by synced() also when it could not take over, until it is there anew", async () => {
    const { room } = await createPair()
    const waiting = createWaiting()
    await room.replicate(waiting.replica)
    waiting.turn(new Error("the disk is gone"))
    await expect.poll(() => reportsOf(room)).toHaveLength(1)
    const lost = room.synced()
    await expect.poll(() => waiting.asked.length).toBe(1)
    waiting.answer(new Error("it has left"))
    await expect(lost).rejects.toThrow("it has left")
    await room.replicate(createMemoryReplica({ name: "things" }))
    await room.synced()
    expect(waiting.asked).toHaveLength(1)
  })

  test("is not asked when it says that it stands by after it has left", async () => {
    const { room } = await createPair()
    let asked = 0
    const inner = createMemoryReplica({ name: "things" })
    const leaving: typeof inner = {
      ...inner,
      async attach(host, { standBy } = {}) {
        host.released()
        await new Promise((resolve) => setTimeout(resolve, 10))
        const { handle } = await inner.attach(host)
        standBy?.({ handle, synced: async () => void asked++ })
        throw new Error("it has left")
      },
    }
    await room.replicate(leaving).catch(() => {})
    await room.synced({ peers: 0 })
    expect([asked, reportsOf(room)]).toEqual([0, []])
  })

  test("may close by itself, which is no trouble", async () => {
    const { room } = await createPair()
    const waiting = createWaiting()
    await room.replicate(waiting.replica)
    waiting.host().released()
    waiting.turn(new Error("closed"))
    await quiet()
    await room.replicate(createMemoryReplica({ name: "things" }))
    expect(reportsOf(room)).toEqual([])
  })

  test("goes with its room", async () => {
    const { room } = await createPair()
    const waiting = createWaiting()
    await room.replicate(waiting.replica)
    const asked = waiting.host().synced()
    asked.catch(() => undefined)
    await room.close()
    await expect(asked).rejects.toMatchObject({ code: "closed" })
    expect(reportsOf(room)).toEqual([])
  })
})
