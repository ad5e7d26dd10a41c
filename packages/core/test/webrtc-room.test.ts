import { afterEach, expect, test } from "vitest"
import { createInvite } from "../src/room/invite.ts"
import type { Room } from "../src/room/room.ts"
import { openMember, until } from "./room-pair.ts"
import { type ScriptedSignaling, startScriptedSignaling } from "./scripted-signaling.ts"

const closing: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of closing.splice(0).reverse()) await thing.close()
})

async function start(): Promise<ScriptedSignaling> {
  const server = await startScriptedSignaling()
  closing.push(server)
  return server
}

const keep = (room: Room): void => void closing.push(room)

test("two rooms over node-datachannel exchange entries", async () => {
  const { url } = await start()
  const invite = createInvite()
  const ada = await openMember(
    { invite, onDiagnostic: (d) => process.env.DEBUG && console.log("ada", JSON.stringify(d)) },
    { signaling: url },
  )
  keep(ada.room)
  const bob = await openMember({ invite }, { signaling: url })
  keep(bob.room)
  await ada.things.set("a", { from: "ada" })
  await bob.things.set("b", { from: "bob" })
  await until(
    () => bob.things.get("a") !== null && ada.things.get("b") !== null,
    "both entries at both sides",
  )
  expect(ada.room.peers.get()).toMatchObject([{ device: bob.room.device, path: "direct" }])
})
