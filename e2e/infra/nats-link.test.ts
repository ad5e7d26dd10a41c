import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { systemClock } from "@dunlin/core"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { createNatsLink } from "../../packages/host/src/cluster/nats-link.ts"
import { freeTcpPort, type NatsServer, natsServerProblem, startNatsServer } from "./nats-server.ts"

const problem = natsServerProblem()
if (problem !== null) console.log(`skipped: ${problem}`)

describe.skipIf(problem !== null)("a link over a real NATS server", () => {
  let nats: NatsServer

  beforeEach(async () => {
    nats = await startNatsServer(await freeTcpPort())
  })
  afterEach(() => nats.stop())

  test("whoever subscribes to what has closed is told nothing, and is thrown nothing", async () => {
    const link = createNatsLink({
      servers: [nats.url],
      credentials: "",
      name: "a",
      clock: systemClock(),
      report: () => {},
    })
    await new Promise<void>((resolve) => link.onChange((up) => up && resolve()))
    const unsubscribeEarly = link.subscribe("sig.early", () => {})
    await link.close()
    const unsubscribeLate = link.subscribe("sig.late", () => {})
    expect(link.publish("sig.late", new Uint8Array(1))).toBe(false)
    unsubscribeEarly()
    unsubscribeLate()
  })
})

test.skipIf(problem !== null)("a NATS server that does not start leaves no folder behind", async () => {
  const place = await mkdtemp(join(tmpdir(), "dunlin-nats-test-"))
  vi.stubEnv("TMPDIR", place)
  try {
    await expect(startNatsServer(await freeTcpPort(), "no { configuration")).rejects.toThrow("did not start")
    expect(await readdir(place)).toEqual([])
  } finally {
    vi.unstubAllEnvs()
    await rm(place, { recursive: true })
  }
})

describe.skipIf(problem !== null)("a host that NATS lets in", () => {
  const users = (rights: string): string =>
    `authorization { users = [ { user: host, password: x, permissions: { ${rights} } } ] }`
  // Waiting takes a thirtieth of its time, so that half a minute fits a test.
  const system = systemClock()
  const clock = { ...system, after: (ms: number, wake: () => void) => system.after(ms / 30, wake) }

  for (const [what, rights] of [
    ["may not listen", 'publish: ">", subscribe: "other.>"'],
    ["may not speak", 'publish: "other.>", subscribe: ">"'],
  ] as const) {
    test(`and that ${what} there, is not up, says why, and is once it may`, async () => {
      const port = await freeTcpPort()
      let nats = await startNatsServer(port, users(rights))
      const reports: string[] = []
      const link = createNatsLink({
        servers: [`nats://host:x@127.0.0.1:${port}`],
        credentials: "",
        name: "a",
        clock,
        report: (event, detail) => void reports.push(`${event} ${detail}`),
      })
      try {
        const ups: boolean[] = []
        link.onChange((up) => {
          ups.push(up)
          if (up) link.publish("sig.hb", new Uint8Array(1))
        })
        link.subscribe("sig.hb", () => {})
        await expect
          .poll(() => reports.join("\n"), { timeout: 20_000 })
          .toMatch(/refused Permissions Violation/)
        expect(link.up).toBe(false)
        expect(ups).toEqual([true, false])
        await nats.stop()
        nats = await startNatsServer(port, users('publish: ">", subscribe: ">"'))
        await expect.poll(() => link.up, { timeout: 20_000 }).toBe(true)
        await new Promise((resolve) => setTimeout(resolve, 300))
        expect(link.up).toBe(true)
      } finally {
        await link.close()
        await nats.stop()
      }
    })
  }
})
