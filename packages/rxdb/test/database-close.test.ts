import { firstValueFrom } from "rxjs"
import { afterEach, beforeEach, expect, test } from "vitest"
import { rxdbReplica } from "../src/index.ts"
import { createFlock } from "./room-flock.ts"

let flock: ReturnType<typeof createFlock>
beforeEach(() => {
  flock = createFlock()
})
afterEach(() => flock.close())

const MANY = 10_000

test.each(["close", "remove"] as const)(
  "%s() of a database in the middle of a first sync does not wait for its end",
  async (ending) => {
    const { collection: full } = await flock.join()
    await full.bulkInsert(Array.from({ length: MANY }, (_, n) => ({ id: `n${n}`, text: "text" })))
    const { database, collection } = await flock.openDatabase({})
    const room = await flock.openRoom()
    const handle = await room.replicate(rxdbReplica(collection))
    let received = 0
    handle.traffic$.subscribe(({ documents }) => (received += documents.length))
    await firstValueFrom(handle.traffic$)
    await database[ending]()
    expect(received).toBeLessThan(MANY / 2)
  },
)
