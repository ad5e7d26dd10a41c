import { memoryIdentity } from "@dunlin/core"
import type { RxDatabase } from "rxdb"
import { expect, test } from "vitest"
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
