import * as wrtc from "node-datachannel/polyfill"
import { afterEach, expect, test } from "vitest"
import { memoryIdentity } from "../src/crypto/identity.ts"
import { bytesToHex } from "../src/protocol/hex.ts"
import { sameBytes } from "../src/protocol/same-bytes.ts"
import { createInvite } from "../src/room/invite.ts"
import type { OpenRoomOptions } from "../src/room/open-room.ts"
import type { Room } from "../src/room/room.ts"
import { webrtc } from "../src/webrtc/index.ts"
import { type Member, openMember, until } from "./room-pair.ts"
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
  const ada = await openMember({ invite }, { signaling: url })
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

test("a room whose peer id somebody else has at the server goes on under a fresh one", async () => {
  const server = await start()
  const { url } = server
  const invite = createInvite()
  const ada = await openMember({ invite }, { signaling: url })
  keep(ada.room)
  const refused: Uint8Array[] = []
  server.admit((peer) => {
    if (refused.length >= 2 && !refused.some((other) => sameBytes(other, peer))) return null
    refused.push(peer)
    return "peer-id-taken"
  })
  const bob = await openMember({ invite }, { signaling: url })
  keep(bob.room)
  await until(() => bob.room.peers.get().length === 1, "the connection")
})

test("two transports of one room at one server leave each other alone, also under fresh peer ids", async () => {
  const server = await start()
  const { url } = server
  const taken = new Set<string>()
  server.admit((peer) => {
    // The first two ids are refused.
    if (taken.size < 2) taken.add(bytesToHex(peer))
    return taken.has(bytesToHex(peer)) ? "peer-id-taken" : null
  })
  const invite = createInvite()
  const transports = [webrtc({ wrtc, signaling: url }), webrtc({ wrtc, signaling: url })]
  const ada = await openMember({ invite, transports }, {})
  keep(ada.room)
  await until(() => ada.room.status.get().problem?.code === "no-peers", "being alone")
  const bob = await openMember({ invite }, { signaling: url })
  keep(bob.room)
  await until(() => bob.room.peers.get().length === 1, "the connection")
  const found = ada.room.diagnostics.recent()
  expect(found.filter(({ type }) => type === "warning")).toEqual([])
  expect(ada.room.peers.get()).toMatchObject([{ device: bob.room.device }])
})

test("readers of a room that is larger than its links hang on writers, whoever came first", async () => {
  const { url } = await start()
  const invite = createInvite()
  const authors = new Set<string>()
  const open = async (isWriter: boolean): Promise<Member> => {
    const identity = memoryIdentity()
    if (isWriter) authors.add(bytesToHex((await identity.load()).publicKey))
    const authorize: OpenRoomOptions["authorize"] = ({ device }) =>
      authors.has(device) ? "writer" : "reader"
    const member = await openMember({ invite, identity, authorize, maxLinks: 4 }, { signaling: url })
    keep(member.room)
    return member
  }
  const readers = [
    await open(false),
    await open(false),
    await open(false),
    await open(false),
    await open(false),
  ]
  const writers = [await open(true), await open(true), await open(true)]
  for (const [at, { things }] of writers.entries()) await things.set(`by writer ${at}`, { at })
  const members = [...readers, ...writers]
  await until(() => members.every(({ things }) => things.keys.length === 3), "every write everywhere", 60_000)
  const writersOf = ({ room }: Member): number =>
    room.peers.get().filter(({ device }) => authors.has(device)).length
  const readersOf = (member: Member): number => member.room.peers.get().length - writersOf(member)
  const areInPlace = (): boolean =>
    writers.every((writer) => writersOf(writer) === 2 && readersOf(writer) <= 2) &&
    readers.every((reader) => writersOf(reader) > 0 && readersOf(reader) <= 2)
  await until(areInPlace, "readers to be linked to writers, and to two of each other", 60_000)
  for (const { room } of members) expect(room.peers.get().length).toBeLessThanOrEqual(4)
}, 150_000)

test("a room whose page is closed leaves at once, and is back with everyone when the page comes back", async () => {
  const page = pretendPage()
  const { url } = await start()
  const invite = createInvite()
  const ada = await openMember({ invite }, { signaling: url })
  keep(ada.room)
  page.forget()
  const bob = await openMember({ invite }, { signaling: url })
  keep(bob.room)
  await until(() => bob.room.peers.get().length === 1, "the connection")
  page.tell("pagehide")
  expect(ada.room.peers.get()).toEqual([])
  await until(() => bob.room.peers.get().length === 0, "the other to notice", 5_000)
  await ada.things.set("while away", { n: 1 })
  page.tell("pageshow")
  await until(() => bob.things.get("while away") !== null, "what was written meanwhile")
})

test("a room tries again at once when the browser says that it is online", async () => {
  const page = pretendPage()
  const reports: string[] = []
  const room = await openMember(
    {
      invite: createInvite(),
      onDiagnostic(diagnostic) {
        if (diagnostic.type !== "transport" || diagnostic.report.type !== "signaling") return
        const { state, retryInMs = 0 } = diagnostic.report
        reports.push(retryInMs >= 1_000 ? "waits" : state)
      },
    },
    // The discard port, on which nothing listens.
    { signaling: "ws://127.0.0.1:9" },
  )
  keep(room.room)
  await until(() => reports.at(-1) === "waits", "a wait of more than a second")
  page.tell("online")
  expect(reports.at(-1)).toBe("connecting")
})

/** What rooms that open from here on take for the window of their page. */
function pretendPage(): { tell(event: string): void; forget(): void } {
  const page = new EventTarget()
  const globals = globalThis as Partial<Pick<Window, "addEventListener" | "removeEventListener">>
  globals.addEventListener = page.addEventListener.bind(page) as Window["addEventListener"]
  globals.removeEventListener = page.removeEventListener.bind(page) as Window["removeEventListener"]
  const forget = (): void => void delete globals.addEventListener
  closing.push({
    async close() {
      forget()
      delete globals.removeEventListener
    },
  })
  return { tell: (event) => void page.dispatchEvent(new Event(event)), forget }
}
