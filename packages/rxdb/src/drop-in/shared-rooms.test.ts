import { type Identity, memoryIdentity } from "@dunlin/core"
import { createMemoryNetwork } from "@dunlin/core/testing"
import type { RxDatabase } from "rxdb"
import { afterEach, expect, test, vi } from "vitest"
import { joinSharedRoom, type RoomRequest } from "./shared-rooms.ts"

function request(signal: AbortSignal): RoomRequest {
  return {
    topic: "a topic that these pools share",
    secret: "and its secret",
    via: "nowhere",
    identity: memoryIdentity(),
    transport: () => ({ name: "nowhere", start: () => ({ stop: () => Promise.resolve() }) }) as never,
    isPeerValid: null,
    onDiagnostic: () => {},
    signal,
  }
}

afterEach(() => void vi.useRealTimers())

test("a pool that checks its peers waits ten seconds for the identity of another, then opens a room of its own", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
  const database = {} as RxDatabase
  const hanging: Identity = { load: () => new Promise<never>(() => {}) }
  const leaving = new AbortController()
  const first = joinSharedRoom(database, { ...request(leaving.signal), identity: hanging })
  const second = joinSharedRoom(database, {
    ...request(new AbortController().signal),
    isPeerValid: () => true,
  })
  await vi.advanceTimersByTimeAsync(10_000)
  vi.useRealTimers()
  const { room, leave } = await second
  expect(room.status.get().phase).toBe("searching")
  await leave()
  leaving.abort(new Error("canceled"))
  await expect(first).rejects.toThrow("canceled")
})

test("a pool gets an open room, whenever the one whose room it finds gives up", async () => {
  for (let microtasks = 0; microtasks < 16; microtasks++) {
    const database = {} as RxDatabase
    const leaving = new AbortController()
    const first = joinSharedRoom(database, request(leaving.signal))
    first.catch(() => {})
    const second = joinSharedRoom(database, request(new AbortController().signal))
    for (let turn = 0; turn < microtasks; turn++) await Promise.resolve()
    leaving.abort(new Error("canceled"))
    const { room, leave } = await second
    expect(room.status.get().phase, `${microtasks} microtasks`).not.toBe("closed")
    await leave()
  }
})

test("a pool that gives up rejects with its reason, also where the room that had just opened does not close", async () => {
  const leaving = new AbortController()
  let stops = 0
  const stop = (): Promise<void> => {
    stops++
    return Promise.reject(new Error("stuck"))
  }
  const start = (): object => {
    leaving.abort(new Error("canceled"))
    return { stop }
  }
  const joining = joinSharedRoom({} as RxDatabase, {
    ...request(leaving.signal),
    transport: () => ({ name: "nowhere", start }) as never,
  })
  await expect(joining).rejects.toThrow("canceled")
  expect(stops).toBe(1)
})

test("a pool whose check fails gets a room of its own", async () => {
  const network = createMemoryNetwork()
  const ask = (): RoomRequest => ({
    ...request(new AbortController().signal),
    identity: memoryIdentity(),
    transport: () => network.transport(),
  })
  const database = {} as RxDatabase
  const far = await joinSharedRoom({} as RxDatabase, ask())
  const first = await joinSharedRoom(database, ask())
  await expect.poll(() => first.room.peers.get()).toHaveLength(1)
  const second = await joinSharedRoom(database, {
    ...ask(),
    isPeerValid: () => {
      throw new Error("the list of friends did not load")
    },
  })
  expect(second.room).not.toBe(first.room)
  expect(second.room.peers.get()).toEqual([])
  await Promise.all([far, first, second].map(({ leave }) => leave()))
})
