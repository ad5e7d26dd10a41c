// Devices in processes of their own, one of which has had a clock that was hours ahead.
import { type ChildProcess, fork } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { startSignalingServerSimplePeer, type SimplePeerSignalingServer } from "@dunlin/host"
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest"
import type { DeviceCommand } from "./clock-device.ts"
import { mergeFields, rxdbReplica } from "../src/index.ts"
import { createFlock, settled, settledAs, until } from "./room-flock.ts"

const HOURS = 60 * 60 * 1000
const folder = mkdtempSync(join(tmpdir(), "dunlin-clocks-"))
let server: SimplePeerSignalingServer
beforeAll(async () => {
  server = await startSignalingServerSimplePeer({ port: 0 })
})
afterAll(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL")
})

interface Answer {
  readonly id: number
  readonly answer?: unknown
  readonly error?: string
}

type Shown = Readonly<Record<string, string>>

/** A device; the same name means the same disk. */
async function device(name: string, leadMs: number) {
  const child = fork(
    fileURLToPath(new URL("clock-device.ts", import.meta.url)),
    [server.localUrl, join(folder, name), String(leadMs)],
    { execArgv: ["--conditions=@dunlin/source", "--import", "tsx"] },
  )
  children.push(child)
  let asked = 0
  const answers = new Map<number, (answer: Answer) => void>()
  const started = new Promise((resolve) => answers.set(0, resolve))
  child.on("message", (message: Answer) => answers.get(message.id)?.(message))
  await started
  const ask = (command: DeviceCommand): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = ++asked
      answers.set(id, ({ answer, error }) =>
        error === undefined ? resolve(answer) : reject(new Error(error)),
      )
      child.send({ id, command })
    })
  return {
    ask,
    write: (id: string, text: string) => ask({ type: "write", document: { id, text } }),
    remove: (id: string) => ask({ type: "remove", id }),
    show: () => ask({ type: "show" }) as Promise<Shown>,
  }
}

type Device = Awaited<ReturnType<typeof device>>

async function bothShow(devices: readonly Device[], expected: Shown): Promise<void> {
  let last: readonly Shown[] = []
  await until(
    async () => {
      last = await Promise.all(devices.map(({ show }) => show()))
      return last.every((one) => JSON.stringify(one) === JSON.stringify(expected))
    },
    JSON.stringify(expected),
    8_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; shown is ${JSON.stringify(last)}`)
  })
}

test("what is written after a clock was set back counts as written after", async () => {
  let [ahead, right] = await Promise.all([device("a", 3 * HOURS), device("b", 0)])
  await ahead.write("x", "1")
  await ahead.write("gone", "1")
  await ahead.write("back", "1")
  await right.write("y", "1")
  await Promise.all([ahead.ask({ type: "connect" }), right.ask({ type: "connect" })])
  const both = () => [ahead, right]
  await bothShow(both(), { back: "1", gone: "1", x: "1", y: "1" })
  await right.write("x", "2")
  await bothShow(both(), { back: "1", gone: "1", x: "2", y: "1" })
  await ahead.remove("back")
  await ahead.write("y", "2")
  await bothShow(both(), { gone: "1", x: "2", y: "2" })
  await ahead.ask({ type: "end" })
  // Both write while they are apart: what only one of them wrote, and what the other had deleted.
  await right.remove("gone")
  await right.write("back", "2")
  ahead = await device("a", 0)
  await ahead.write("x", "3")
  await ahead.write("new", "1")
  await ahead.ask({ type: "connect" })
  await bothShow(both(), { back: "2", new: "1", x: "3", y: "2" })
  await ahead.ask({ type: "synced" })
  await right.write("y", "3")
  await ahead.remove("new")
  await bothShow(both(), { back: "2", x: "3", y: "3" })
  await right.ask({ type: "synced" })
  await ahead.ask({ type: "end" })
  ahead = await device("a", 0)
  await ahead.ask({ type: "connect" })
  await ahead.write("x", "4")
  await bothShow(both(), { back: "2", x: "4", y: "3" })
})

test.each(Object.entries({ "later wins": {}, "field by field": { conflictHandler: mergeFields() } }))(
  "what comes back over a deletion of a device whose clock was ahead wins over earlier edits: %s",
  async (_, creator) => {
    const flock = createFlock()
    vi.useFakeTimers({ toFake: ["Date"] })
    try {
      const start = Date.now()
      const [a, b, c] = [
        await flock.join({ creator }),
        await flock.join({ creator }),
        await flock.join({ creator }),
      ]
      let { handle } = b
      /** The process has one clock, so it is ahead only while nobody hears of it. */
      const whileAhead = async (write: () => Promise<unknown>): Promise<void> => {
        await handle.close()
        vi.setSystemTime(start + 3 * HOURS)
        await write()
        vi.setSystemTime(start)
        handle = await b.room.replicate(rxdbReplica(b.collection))
      }
      await whileAhead(() => b.collection.insert({ id: "x", text: "of b" }))
      await settledAs([a.collection, c.collection], { x: { id: "x", text: "of b" } })
      await c.handle.close()
      await whileAhead(() => b.collection.bulkRemove(["x"]))
      await settledAs([a.collection], {})
      vi.setSystemTime(start + 1_000)
      await c.collection.upsert({ id: "x", text: "of c, earlier" })
      vi.setSystemTime(start + 2_000)
      await a.collection.insert({ id: "x", text: "of a, later" })
      await settledAs([b.collection], { x: { id: "x", text: "of a, later" } })
      await c.room.replicate(rxdbReplica(c.collection))
      expect(await settled([a, b, c])).toEqual({ x: { id: "x", text: "of a, later" } })
    } finally {
      vi.useRealTimers()
      await flock.close()
    }
  },
)
