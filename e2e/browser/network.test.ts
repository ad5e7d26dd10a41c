import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { createHarness } from "./harness.ts"
import type { Harness } from "./harness.ts"
import type { ChildPeer } from "./harness/child-peer.ts"
import { networkProblem } from "./harness/network.ts"
import type { Network } from "./harness/network.ts"

type SocketPeer = typeof import("./harness/probe-socket-peer.ts")
type ProbePage = typeof import("./harness/probe-page.ts")

const problem = networkProblem()
if (problem !== null) console.log(`skipped: ${problem}`)

describe.skipIf(problem !== null)("a network of namespaces", () => {
  let harness: Harness
  let network: Network
  const peers = new Map<string, ChildPeer<SocketPeer>>()
  const peer = (host: string): ChildPeer<SocketPeer> => peers.get(host)!

  beforeAll(async () => {
    harness = createHarness()
    network = await harness.network({ one: "none", two: "none", cone: "cone", symmetric: "symmetric" })
    const module = new URL("./harness/probe-socket-peer.ts", import.meta.url)
    for (const host of ["one", "two", "cone", "symmetric"]) {
      peers.set(host, await harness.peer<SocketPeer>(module, { namespace: network.namespace(host) }))
    }
    for (const host of ["one", "two"]) {
      await peer(host).call("serveUdp")
      await peer(host).call("serveTcp")
    }
  })
  afterAll(() => harness.close())

  const servers = (): string[] => [network.address("one"), network.address("two")]
  const ask = (host: string): Promise<readonly (string | null)[]> => peer(host).call("askUdp", servers(), 300)

  test("a cone NAT shows one port to every server, a symmetric one a port each", async () => {
    const [first, second] = await ask("cone")
    expect(first).toMatch(new RegExp(`^${network.address("cone")}:\\d+$`))
    expect(second).toBe(first)
    const [third, fourth] = await ask("symmetric")
    expect(third).toMatch(new RegExp(`^${network.address("symmetric")}:\\d+$`))
    expect(fourth).not.toBe(third)
  })

  test("TCP passes a NAT, at the delay that was set", async () => {
    await network.set({ delayMs: 100 })
    const { address, tookMs } = await peer("symmetric").call("askTcp", network.address("one"))
    await network.set({ delayMs: 0 })
    expect(address).toContain(network.address("symmetric"))
    // Handshake, then request and answer: two round trips of 200 ms.
    expect(tookMs).toBeGreaterThan(390)
  })

  test("nothing crosses a cut, and a cut may be one way or for UDP alone", async () => {
    await network.cut("cone", "one")
    expect(await ask("cone")).toEqual([null, expect.any(String)])
    await network.heal("cone", "one")
    await network.setOneWay({ cut: true }, { from: "two", to: "cone" })
    expect(await ask("cone")).toEqual([expect.any(String), null])
    await network.setOneWay({ cut: false }, { from: "two", to: "cone" })
    await network.set({ blockUdp: true })
    expect(await ask("cone")).toEqual([null, null])
    expect((await peer("cone").call("askTcp", network.address("one"))).address).toContain(
      network.address("cone"),
    )
    await network.set({ blockUdp: false })
  })

  test("full loss loses everything, an unknown host is refused", async () => {
    await network.set({ lossPercent: 100 }, ["cone", "one"])
    expect((await ask("cone"))[0]).toBeNull()
    await network.set({ lossPercent: 0 }, ["cone", "one"])
    await expect(network.cut("cone", "nowhere")).rejects.toThrow("no such hosts")
  })

  test("a Chromium runs inside a namespace, in a secure context", async () => {
    const site = await harness.site(new URL("./harness/probe-page.ts", import.meta.url))
    const browser = await harness.chromium({ namespace: network.namespace("cone") })
    const tab = await browser.open<ProbePage>(site)
    expect((await tab.call("facts")).secure).toBe(true)
    expect(await tab.call("loopback")).toBe("through")
  })
})
