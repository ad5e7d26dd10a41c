import { createInvite } from "@dunlin/core"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { createHarness, type Harness } from "../browser/harness.ts"
import { type Network, networkProblem } from "../browser/harness/network.ts"
import type { RemoteModule } from "../browser/harness/remote-module.ts"
import type { JoinOptions, RoomDriver } from "./room-driver.ts"

/** One device in a scenario: a page or a process that can be restarted. */
export interface Actor extends RemoteModule<RoomDriver> {
  /** Reloads the page, or crashes the process and starts a new one. Whatever it held in memory is gone. */
  restart(): Promise<void>
}

export interface PairScenario {
  readonly name: string
  /** Starts the two devices of the pair, in this order. */
  readonly actors: readonly [ActorStarter, ActorStarter]
  /** A reason not to run, which is printed. */
  readonly skip?: string | null
  /** What runs beside the host, such as a TURN server. */
  readonly surroundings?: (harness: Harness) => Promise<Surroundings>
}

export interface Surroundings {
  /** Settings of the host, as environment variables. */
  readonly hostEnv: Readonly<Record<string, string>>
  readonly webrtc: Omit<JoinOptions["webrtc"], "signaling">
  /** The path by which the peers must be connected. */
  readonly path: string
}

const openNetwork: Surroundings = { hostEnv: {}, webrtc: {}, path: "direct" }

export type ActorStarter = (harness: Harness, options: { readonly namespace?: string }) => Promise<Actor>

const CONNECT_MS = 20_000

/** What any two devices must withstand. */
export function describePair({ name, actors, skip = null, surroundings }: PairScenario): void {
  if (skip !== null) console.log(`skipped: ${name}: ${skip}`)
  describe.skipIf(skip !== null)(name, () => {
    let harness: Harness
    let one: Actor
    let two: Actor
    let options: JoinOptions
    let around = openNetwork
    let host: Awaited<ReturnType<Harness["host"]>>

    beforeAll(async () => {
      harness = createHarness()
      around = (await surroundings?.(harness)) ?? openNetwork
      host = await harness.host({ env: around.hostEnv })
      one = await actors[0](harness, {})
      two = await actors[1](harness, {})
      options = { invite: createInvite(), webrtc: { ...around.webrtc, signaling: host.url } }
      await Promise.all([one.call("join", options), two.call("join", options)])
    })
    afterAll(() => harness.close())

    const exchange = async (label: string, timeoutMs = CONNECT_MS): Promise<void> => {
      await one.call("set", "things", `${label}-one`, "1")
      await two.call("set", "things", `${label}-two`, "2")
      await one.call("waitFor", "things", `${label}-two`, timeoutMs)
      await two.call("waitFor", "things", `${label}-one`, timeoutMs)
    }

    test("connects, replicates and says so", async () => {
      await exchange("first")
      await one.call("synced", CONNECT_MS)
      const [left, right] = [await one.call("facts"), await two.call("facts")]
      expect(left).toMatchObject({ phase: "connected", problem: null, peers: [{ path: around.path }] })
      expect(left.peers[0]).toMatchObject({ session: right.session, device: right.device })
      await one.call("setPresence", { name: "Ada" })
      await two.call("waitForOthers", 1, CONNECT_MS)
      expect(await two.call("others")).toMatchObject([{ session: left.session, value: { name: "Ada" } }])
    })

    test("goes on while the host is away, and meets newcomers once it is back", async () => {
      await host.kill()
      await exchange("without-host")
      host = await harness.host({ port: host.port, env: around.hostEnv })
      const third = await actors[1](harness, {})
      await third.call("join", options)
      await third.call("waitForPeers", 2, 60_000)
      await third.call("waitFor", "things", "without-host-two", CONNECT_MS)
      await third.call("leave")
      await one.call("waitForPeers", 1, CONNECT_MS)
      await third.close()
    })

    test("finds a peer again that was restarted, once, with all that the other held", async () => {
      await two.restart()
      await two.call("join", options)
      await two.call("waitFor", "things", "first-one", CONNECT_MS)
      await exchange("after-restart")
      await one.call("waitForPeers", 1, 30_000)
    })

    test("comes back after a reconnect on demand", async () => {
      await one.call("leave")
      await two.call("waitForPeers", 0, CONNECT_MS)
      await one.call("join", options)
      await one.call("reconnect")
      await two.call("reconnect")
      await exchange("reconnected")
    })
  })
}

/** What any two devices must withstand when the network between them breaks while the host stays reachable. */
export function describeCuts({ name, actors, skip = networkProblem() }: PairScenario): void {
  if (skip !== null) console.log(`skipped: ${name}, cuts: ${skip}`)
  // They mostly wait, so the pairs run concurrently; the cuts of one pair run one after another.
  describe.skipIf(skip !== null)(`${name}, cut off`, { concurrent: true }, () => {
    let harness: Harness
    let network: Network
    let one: Actor
    let two: Actor

    beforeAll(async () => {
      harness = createHarness()
      network = await harness.network({ one: "none", two: "none", host: "none" })
      const host = await harness.host({
        namespace: network.namespace("host"),
        address: network.address("host"),
      })
      one = await actors[0](harness, { namespace: network.namespace("one") })
      two = await actors[1](harness, { namespace: network.namespace("two") })
      const options = { invite: createInvite(), webrtc: { signaling: host.url } }
      await Promise.all([one.call("join", options), two.call("join", options)])
      await one.call("waitForPeers", 1, CONNECT_MS)
      await two.call("waitForPeers", 1, CONNECT_MS)
    })
    afterAll(() => harness.close())

    const cases: readonly { readonly seconds: number; readonly from: readonly string[] }[] = [
      { seconds: 5, from: ["two"] },
      { seconds: 20, from: ["two"] },
      { seconds: 20, from: ["two", "host"] },
    ]
    for (const [index, { seconds, from }] of cases.entries()) {
      test.sequential(`for ${seconds} s from ${from.join(" and ")}, both get what the other wrote meanwhile`, async () => {
        for (const other of from) await network.cut("one", other)
        await one.call("set", "things", `cut-${index}-one`, "1")
        await two.call("set", "things", `cut-${index}-two`, "2")
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
        expect(await two.call("get", "things", `cut-${index}-one`)).toBeNull()
        for (const other of from) await network.heal("one", other)
        const healed = performance.now()
        await one.call("waitFor", "things", `cut-${index}-two`, 60_000)
        await two.call("waitFor", "things", `cut-${index}-one`, 60_000)
        const wholeMs = Math.round(performance.now() - healed)
        console.log(`${name}: ${seconds} s cut from ${from.join(" and ")}, whole again ${wholeMs} ms after`)
        await one.call("waitForPeers", 1, CONNECT_MS)
      })
    }
  })
}

const peerModule = new URL("./room-peer.ts", import.meta.url)
const pageModule = new URL("./room-page.ts", import.meta.url)

/** Starts a Node process. */
export const startNode: ActorStarter = async (harness, options) => {
  let peer = await harness.peer<RoomDriver>(peerModule, options)
  return {
    output: () => peer.output(),
    call: (name, ...args) => peer.call(name, ...args),
    close: () => peer.close(),
    async restart() {
      await peer.kill()
      peer = await harness.peer<RoomDriver>(peerModule, options)
    },
  }
}

/** Starts a page in a Chromium profile of its own. */
export const startChromium: ActorStarter = async (harness, options) => {
  // Pages served by interception count as public, and public pages may not connect to a host on a local network.
  const args = ["--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks"]
  const browser = await harness.chromium({ ...options, args })
  const tab = await browser.open<RoomDriver>(await harness.site(pageModule))
  return { ...tab, restart: () => tab.reload() }
}

/** Starts a page in Firefox, which cannot run in a namespace. */
export const startFirefox: ActorStarter = async (harness) => {
  const tab = await (await harness.firefox()).open<RoomDriver>(await harness.site(pageModule))
  return { ...tab, restart: () => tab.reload() }
}
