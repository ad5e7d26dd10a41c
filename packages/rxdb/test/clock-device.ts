// A device in a process of its own, whose clock is wrong and whose disk outlives it. Started by clocks.test.ts.
import { readFileSync, writeFileSync } from "node:fs"
import { memoryIdentity } from "@dunlin/core"
import * as wrtc from "node-datachannel/polyfill"
import { createRxDatabase } from "rxdb/plugins/core"
import { WebSocket } from "ws"
import { getConnectionHandlerSimplePeer, replicateWebRTC } from "../src/index.ts"
import { crashDisk } from "./crash-storage.ts"

/** What the test asks of a device. */
export type DeviceCommand =
  | { readonly type: "connect" }
  | { readonly type: "disconnect" }
  | { readonly type: "write"; readonly document: { readonly id: string; readonly text: string } }
  | { readonly type: "remove"; readonly id: string }
  | { readonly type: "show" }
  | { readonly type: "synced" }
  | { readonly type: "end" }

const [url = "", disk = "", leadMs = "0"] = process.argv.slice(2)
const wallNow = Date.now
// RxDB and Dunlin ask nothing else for the time of day.
Date.now = () => wallNow() + Number(leadMs)

const past = ((): Parameters<typeof crashDisk>[0] => {
  try {
    return JSON.parse(readFileSync(disk, "utf8")) as Parameters<typeof crashDisk>[0]
  } catch {
    return []
  }
})()
const { storage, writes } = crashDisk(past)
const database = await createRxDatabase({ name: "device", storage, multiInstance: false })
const { notes } = await database.addCollections({
  notes: {
    schema: {
      version: 0,
      primaryKey: "id",
      type: "object",
      properties: { id: { type: "string", maxLength: 40 }, text: { type: "string" } },
      required: ["id"],
    },
  },
})
if (notes === undefined) throw new Error("no collection")
const connect = () =>
  replicateWebRTC({
    collection: notes,
    topic: "a-topic-of-devices-with-wrong-clocks",
    connectionHandlerCreator: getConnectionHandlerSimplePeer({
      signalingServerUrl: url,
      wrtc,
      webSocketConstructor: WebSocket as never,
      config: { iceServers: [] },
    }),
    identity: memoryIdentity(),
    pull: {},
    push: {},
  })
let pool: Awaited<ReturnType<typeof connect>> | null = null

const run = async (command: DeviceCommand): Promise<unknown> => {
  switch (command.type) {
    case "connect":
      pool = await connect()
      return pool.awaitFirstPeer().then(() => null)
    case "disconnect":
      return pool?.cancel()
    case "write":
      return notes.upsert(command.document).then(() => null)
    case "remove":
      return notes
        .findOne(command.id)
        .exec(true)
        .then((document) => document.remove())
        .then(() => null)
    case "show":
      return Object.fromEntries(
        (await notes.find().exec()).map(({ primary, text }) => [primary, text as string]),
      )
    case "synced":
      return pool?.handle()?.synced()
    case "end":
      await database.close()
      writeFileSync(disk, JSON.stringify(writes))
      return null
  }
}
process.on("message", ({ id, command }: { id: number; command: DeviceCommand }) => {
  run(command).then(
    (answer) => process.send?.({ id, answer: answer ?? null }),
    (error: unknown) => process.send?.({ id, error: String(error) }),
  )
})
process.on("disconnect", () => process.exit())
process.send?.({ id: 0, answer: null })
