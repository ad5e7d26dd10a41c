import type { Pipe, Transport } from "@dunlin/core"
import { webrtc } from "@dunlin/core/webrtc"
import * as wrtc from "node-datachannel/polyfill"
import { reachBy } from "./room-member.ts"

/** A member of a room in a Node process. */
export * from "./room-member.ts"

reachBy((options) => [hardOfHearing(webrtc({ wrtc, ...options.webrtc }))])

let isDeaf = false

/** From here on, everything that arrives is ignored, and nothing is answered. */
export function goDeaf(): void {
  isDeaf = true
}

/** "live" collects garbage first, which takes time; "now" leaves everything as it is. */
export async function memory(kind: "live" | "now"): Promise<{ readonly rss: number; readonly live: number }> {
  const { gc } = globalThis as { gc?: () => void }
  for (let round = 0; kind === "live" && round < 3; round++) {
    gc?.()
    // Buffers outside the heap are freed a moment after their objects.
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss, live: heapUsed + external }
}

function hardOfHearing(inner: Transport): Transport {
  return {
    ...inner,
    start: (host) =>
      inner.start({
        ...host,
        connected(pipe) {
          const open: Pipe["open"] = (receiver) =>
            pipe.open({
              ...receiver,
              message: (lane, bytes) => {
                if (!isDeaf) receiver.message(lane, bytes)
              },
            })
          host.connected(Object.create(pipe, { open: { value: open } }) as Pipe)
        },
      }),
  }
}
