import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { createHarness } from "../browser/harness.ts"
import type { Harness } from "../browser/harness.ts"
import { findChromium } from "../browser/harness/find-browser.ts"
import { networkProblem } from "../browser/harness/network.ts"
import type { Network } from "../browser/harness/network.ts"
import type { RemoteModule } from "../browser/harness/remote-module.ts"
import { turnServerProblem } from "../browser/harness/turn-server.ts"
import type { JoinRequest } from "./flock-member.ts"

type Member = RemoteModule<typeof import("./flock-page.ts")>
type Peer = typeof import("./flock-peer.ts")

const problem = networkProblem() ?? turnServerProblem() ?? (findChromium() === null ? "no Chromium" : null)
if (problem !== null) console.log(`skipped: ${problem}`)

const MEMBERS = ["one", "two", "three", "web"]
const SETTLE_LIMIT_MS = 45_000

describe.skipIf(problem !== null)("three Node peers and a Chromium, on networks that fail", () => {
  let harness: Harness
  let network: Network
  let request: JoinRequest
  let newInvite: () => Promise<string>
  let written = 0
  const members = new Map<string, Member>()

  beforeAll(async () => {
    harness = createHarness()
    network = await harness.network({
      one: "none",
      two: "cone",
      three: "symmetric",
      web: "symmetric",
      server: "none",
    })
    const server = { address: network.address("server"), namespace: network.namespace("server") }
    const turn = await harness.turnServer(server)
    const host = await harness.host({ ...server, port: 8787 })
    request = { invite: "", signaling: host.url, iceServers: [{ urls: turn.stunUrl }, turn.iceServer()] }
    const module = new URL("./flock-peer.ts", import.meta.url)
    for (const name of ["one", "two", "three"]) {
      const peer = await harness.peer<Peer>(module, {
        namespace: network.namespace(name),
        env: { MEMBER: name },
      })
      members.set(name, peer)
      newInvite = () => peer.call("newInvite")
    }
    const site = await harness.site(new URL("./flock-page.ts", import.meta.url))
    const browser = await harness.chromium({ namespace: network.namespace("web") })
    members.set("web", await browser.open(site))
  })
  afterEach(() => network.reset())
  afterAll(() => harness.close())

  const each = <Result>(act: (member: Member, name: string) => Promise<Result>): Promise<Result[]> =>
    Promise.all([...members].map(([name, member]) => act(member, name)))

  /** A fresh room, on a network without faults, in which everybody holds what each has written. */
  const gather = async (iceServers = request.iceServers): Promise<void> => {
    const invite = await newInvite()
    await each((member) => member.call("join", { ...request, invite, iceServers }))
    await write(5)
    await settle("gathering")
  }
  /** Writes new keys at every member. */
  const write = async (count: number): Promise<void> => {
    const round = ++written
    await each((member, name) =>
      member.call(
        "write",
        Array.from({ length: count }, (_, index) => `${round}-${name}-${index}`),
      ),
    )
  }
  /** Waits until all hold the same, and prints how long it took. */
  const settle = async (what: string): Promise<void> => {
    const started = performance.now()
    for (;;) {
      const contents = await each((member) => member.call("contents"))
      const wanted = MEMBERS.every((name) => contents[0]?.includes(`${written}-${name}-0=`))
      if (wanted && new Set(contents).size === 1) break
      if (performance.now() - started > SETTLE_LIMIT_MS) {
        const stories = await each(async (member, name) => [name, ...(await member.call("story"))].join("\n"))
        throw new Error(`Not equal ${SETTLE_LIMIT_MS / 1000} s after ${what}.\n${stories.join("\n\n")}`)
      }
      await pause(50)
    }
    console.log(`${what}: equal after ${((performance.now() - started) / 1000).toFixed(2)} s`)
  }
  const isolate = (name: string, isCut: boolean): Promise<unknown> =>
    Promise.all(
      [...MEMBERS, "server"]
        .filter((other) => other !== name)
        .map((other) => network.set({ cut: isCut }, [name, other])),
    )

  test("a satellite's delay, with jitter", async () => {
    await network.set({ delayMs: 150, jitterMs: 30 })
    await gather()
    await write(20)
    await settle("300 ms round trips")
  })

  test("one packet in twenty lost", async () => {
    await network.set({ delayMs: 10, lossPercent: 5 })
    await gather()
    await write(20)
    await settle("5 % loss")
  })

  test("one member without any network for 5 s, writing on", async () => {
    await gather()
    await isolate("two", true)
    await write(10)
    await pause(5_000)
    await isolate("two", false)
    await settle("a cut of 5 s")
  })

  test("the room in two halves, both writing", async () => {
    await gather()
    const across: readonly (readonly [string, string])[] = [
      ["one", "three"],
      ["one", "web"],
      ["two", "three"],
      ["two", "web"],
    ]
    // The relay would be a way round the partition, so it is cut off as well.
    for (const name of MEMBERS) await network.cut(name, "server")
    for (const pair of across) await network.cut(...pair)
    await write(10)
    await pause(12_000)
    for (const name of MEMBERS) await network.heal(name, "server")
    for (const pair of across) await network.heal(...pair)
    await settle("a partition of 12 s")
  })

  test("a path that works one way only", async () => {
    await gather()
    await network.setOneWay({ cut: true }, { from: "one", to: "two" })
    await write(10)
    await settle("40 writes with one direction dead")
    await network.setOneWay({ cut: false }, { from: "one", to: "two" })
    await write(1)
    await settle("the direction back")
  })

  test("no direct path between any two: everything through TURN", async () => {
    for (const [index, one] of MEMBERS.entries()) {
      for (const other of MEMBERS.slice(index + 1)) await network.set({ blockUdp: true }, [one, other])
    }
    await gather()
    // The path is read from ICE's statistics once ICE has chosen a pair.
    await expect
      .poll(async () => new Set((await each((member) => member.call("paths"))).flat()), { timeout: 20_000 })
      .toEqual(new Set(["relayed"]))
    await write(10)
    await settle("direct UDP blocked")
  })

  test("no TURN, and two symmetric NATs that cannot meet: the others carry it", async () => {
    await gather(request.iceServers.slice(0, 1))
    await write(10)
    await settle("three and web apart")
  })

  test("a thin line that comes and goes while much is written", async () => {
    await network.set({ rateMbit: 2, delayMs: 20 })
    await gather()
    for (let round = 0; round < 5; round++) {
      await isolate("three", true)
      await write(100)
      await pause(1_500)
      await isolate("three", false)
      await pause(1_500)
    }
    await settle("five short cuts on 2 Mbit/s")
  })
})

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
