import { expect, test } from "vitest"
import { announceNotes, createNode, memory } from "../../test/simulated-engines.ts"
import type { Frame } from "../protocol/frame.ts"
import { encodeFrame } from "../protocol/frame-codec.ts"
import { decodeMessage, encodeMessage } from "../protocol/message.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import type { LinkInput } from "./sync-engine-api.ts"

const session = new Uint8Array(16).fill(0xee)
const hello: Frame = { type: "hello", version: 1, session, maxMessageBytes: 65_536, refusesEntries: false }
const item = { position: new Uint8Array(16).fill(3), digest: new Uint8Array(8).fill(1) }

test("what was asked of a peer that fell silent is asked again over the connection in reserve", async () => {
  const time = createSimulatedTime()
  const node = createNode(time, "honest")
  await node.engine.replicate(memory())
  const inputs: LinkInput[] = []
  const heard: Frame[][] = []
  const connect = (): void => {
    const frames: Frame[] = []
    heard.push(frames)
    const input = node.engine.addLink({
      session: "ee".repeat(16),
      device: "ff".repeat(32),
      role: "writer",
      maxMessageBytes: 65_536,
      send: (_lane, message) => void frames.push(...decodeMessage(message).map(({ frame }) => frame)),
      buffered: () => 0,
      // As a link table with a reserve does.
      close: () => inputs.length === 1 && connect(),
    })
    inputs.push(input)
    const offer: Frame = { type: "offer", slot: 0, items: [item] }
    for (const frame of [hello, announceNotes, offer])
      input.message("control", encodeMessage([encodeFrame(frame)]))
  }
  const asks = (at: number): boolean => heard[at]?.some(({ type }) => type === "want") === true

  connect()
  await time.runFor(1_000)
  expect(asks(0)).toBe(true)
  inputs[0]?.doubted?.()
  await time.runFor(3_000)
  expect(inputs).toHaveLength(2)
  expect(asks(1)).toBe(true)
  expect(node.engine.links.get().size).toBe(1)
  await node.engine.close()
  expect(time.pending).toBe(0)
})
