import { expect, test } from "vitest"
import { createNode, meddled, type Node } from "../../test/simulated-engines.ts"
import { createSeededRandom } from "../testing/seeded-random.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import { createSimulatedConnection } from "../testing/simulated-network.ts"

const ENTRIES = 6_000
const SUMMARY_BYTES = 4_000
const BYTES_PER_MS = 500

test("a link that is slow to take what is asked over it is not taken for one that nobody reads", async () => {
  const time = createSimulatedTime()
  const nodes: readonly [Node, Node] = [createNode(time, "a"), createNode(time, "b")]
  // As long as the summaries of documents that many people have written.
  const replica = () =>
    meddled(({ read }) => ({
      summarize: async (keys) => keys.map(() => new Uint8Array(SUMMARY_BYTES)),
      read: (requests, peer) =>
        read(
          requests.map(({ key }) => ({ key, summary: new Uint8Array(0) })),
          peer,
        ),
    }))
  const collections = [await nodes[0].engine.replicate(replica()), await nodes[1].engine.replicate(replica())]
  for (const [by, collection] of collections.entries())
    for (let at = 0; at < ENTRIES; at++) void collection.set(`entry-${at}`, { by })
  await time.runFor(100)

  const connection = createSimulatedConnection({
    time,
    random: createSeededRandom("path"),
    names: ["a", "b"],
    bytesPerMs: BYTES_PER_MS,
  })
  const closings: string[] = []
  for (const end of [0, 1] as const) {
    const pipe = connection.ends[end]
    const { session, device } = nodes[1 - end] as Node
    const input = nodes[end].engine.addLink({
      session,
      device,
      role: "writer",
      maxMessageBytes: pipe.maxMessageBytes,
      send: pipe.send,
      buffered: pipe.buffered,
      close(reason) {
        closings.push(reason)
        pipe.close()
      },
    })
    pipe.open(input)
  }
  await time.runFor((2 * ENTRIES * SUMMARY_BYTES) / BYTES_PER_MS)
  expect(closings).toEqual([])
  const [left, right] = collections.map((one) => one.keys.map((key) => JSON.stringify(one.get(key))))
  expect(left).toEqual(right)
}, 60_000)
