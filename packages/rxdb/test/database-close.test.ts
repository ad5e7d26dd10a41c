import { firstValueFrom } from "rxjs"
import { expect, test } from "vitest"
import { rxdbReplica } from "../src/index.ts"
import { useFlock } from "./room-flock.ts"

const flock = useFlock()

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
