import { systemClock } from "@dunlin/core"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
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
