import * as wrtc from "node-datachannel/polyfill"
import { afterAll, describe, test } from "vitest"
import { transportContract } from "@dunlin/core/testing"
import { webrtc } from "@dunlin/core/webrtc"
import { createHarness } from "../../../e2e/browser/harness.ts"

const harness = createHarness()
afterAll(() => harness.close())

describe("WebRTC by node-datachannel", () => {
  let signaling: Promise<string> | null = null
  const cases = transportContract({
    async createPair() {
      signaling ??= harness.host({ args: ["--address-connection-burst", "1000"] }).then(({ url }) => url)
      const url = await signaling
      return [webrtc({ signaling: url, wrtc }), webrtc({ signaling: url, wrtc })]
    },
  })
  for (const { name, run } of cases) test(name, run)
})
