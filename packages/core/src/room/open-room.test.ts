import { afterEach, expect, test } from "vitest"
import { memoryIdentity } from "../crypto/identity.ts"
import { createMemoryNetwork, type MemoryTransportOptions } from "../testing/memory-transport.ts"
import { createMemoryReplica } from "../testing/memory-replica.ts"
import { createInvite } from "./invite.ts"
import { openRoom, type OpenRoomOptions } from "./open-room.ts"
import type { Room } from "./room.ts"

const opened: Room[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((room) => room.close()))
})

async function open(
  options: Partial<OpenRoomOptions> & Pick<OpenRoomOptions, "invite" | "transports">,
): Promise<Room> {
  const room = await openRoom({ identity: memoryIdentity(), ...options })
  opened.push(room)
  return room
}

const until = async (condition: () => boolean, what: string): Promise<void> => {
  const end = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited 10 s for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const paths: readonly MemoryTransportOptions[] = [{ bound: true }, { bound: false, path: "custom" }]

for (const path of paths) {
  test(`two rooms exchange entries, ${path.bound ? "bound to certificates" : "through the record layer"}`, async () => {
    const network = createMemoryNetwork()
    const invite = createInvite()
    const ada = await open({ invite, transports: [network.transport(path)] })
    const bob = await open({ invite, transports: [network.transport(path)] })
    const mine = await ada.replicate(createMemoryReplica({ name: "things" }))
    const theirs = await bob.replicate(createMemoryReplica({ name: "things" }))
    await mine.set("a", { from: "ada" })
    await theirs.set("b", { from: "bob" })
    await until(() => theirs.get("a") !== null && mine.get("b") !== null, "both entries at both sides")
    expect(theirs.get("a")).toEqual({ from: "ada" })
    await ada.synced()
    expect(ada.peers.get()).toMatchObject([{ session: bob.session, device: bob.device, role: "writer" }])
    expect(bob.status.get().phase).toBe("connected")
  })
}
