import { createInvite } from "@dunlin/core"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { createHarness, type Harness } from "../browser/harness.ts"
import { findChromium } from "../browser/harness/find-browser.ts"
import type { RemoteModule } from "../browser/harness/remote-module.ts"
import { type TurnServer, turnServerProblem } from "../browser/harness/turn-server.ts"

type Member = RemoteModule<typeof import("../rooms/room-page.ts")>

const problem = turnServerProblem() ?? (findChromium() === null ? "no Chromium" : null)
if (problem !== null) console.log(`skipped: ${problem}`)

/** Credentials expire long before the connection ends; an allocation that nobody then renews ends the connection. */
const CREDENTIALS_S = 10
const ALLOCATION_S = 15
const STAY_MS = 45_000

// Both tests only wait, and can do so at the same time.
describe
  .skipIf(problem !== null)
  .concurrent("connections through a relay outlive the credentials they began with", () => {
    let harness: Harness
    let turn: TurnServer
    let url: string

    beforeAll(async () => {
      harness = createHarness()
      turn = await harness.turnServer({ args: [`--max-allocate-lifetime=${ALLOCATION_S}`] })
      const env = {
        DUNLIN_TURN_URLS: turn.turnUrl,
        DUNLIN_TURN_SECRET: turn.secret,
        DUNLIN_TURN_TTL_SECONDS: String(CREDENTIALS_S),
      }
      url = (await harness.host({ env })).url
    })
    afterAll(() => harness.close())

    const options = () => ({ invite: createInvite(), webrtc: { signaling: url, privacy: "relay" } }) as const

    const meet = async (members: readonly Member[]): Promise<void> => {
      const joining = options()
      for (const member of members) await member.call("join", joining)
      for (const member of members) await member.call("waitForPeers", 1, 40_000)
      // Diagnostics so far are of no interest.
      for (const member of members) await member.call("diagnostics")
      await new Promise((resolve) => setTimeout(resolve, STAY_MS))
      for (const [index, member] of members.entries()) {
        await member.call("set", "things", `after-${index}`, "1")
        for (const other of members) await other.call("waitFor", "things", `after-${index}`, 20_000)
        expect((await member.call("facts")).peers).toMatchObject([{ path: "relayed" }])
      }
    }

    test("browsers renew their allocations after the credentials have expired, and keep their link", async () => {
      const site = await harness.site(new URL("../rooms/room-page.ts", import.meta.url))
      const members: Member[] = [
        await (await harness.chromium()).open(site),
        await (await harness.chromium()).open(site),
      ]
      await meet(members)
      const heard = (await Promise.all(members.map((member) => member.call("diagnostics")))).flat()
      expect(heard.filter((line) => line.includes("link-closed"))).toEqual([])
    })

    // Node's ICE renews such short allocations either in time or just too late, and no test can tell which. Too late
    // ends the link after 40 s of silence, and the next one begins with fresh credentials.
    test("Node peers exchange writes over a relay after the credentials have expired, by the old link or a new one", async () => {
      const peerModule = new URL("../rooms/room-peer.ts", import.meta.url)
      await meet([await harness.peer(peerModule), await harness.peer(peerModule)])
    })
  })
