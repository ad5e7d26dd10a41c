import { expect, test } from "vitest"
import type { AttachedReplica } from "../ports/replica.ts"
import { createFingerprintIndex } from "../protocol/fingerprint-index.ts"
import { encodeFrame } from "../protocol/frame-codec.ts"
import { CONTROL_MESSAGE_BYTES } from "../protocol/limits.ts"
import { framedBytes } from "../protocol/message.ts"
import type { SharedReplica } from "./shared-replica.ts"
import { wantFrames } from "./want-frames.ts"

const position = (n: number): Uint8Array => {
  const bytes = new Uint8Array(16)
  new DataView(bytes.buffer).setUint32(0, n)
  return bytes
}

function sharedWith(summaries: readonly Uint8Array[] | Error): SharedReplica {
  const index = createFingerprintIndex()
  if (!(summaries instanceof Error)) {
    summaries.forEach((_, n) => index.set(position(n), new Uint8Array(16), `${n}`))
  }
  const attached: Partial<AttachedReplica> = {
    summarize: async (keys) => {
      if (summaries instanceof Error) throw summaries
      return keys.map((key) => summaries[Number(key)] as Uint8Array)
    },
  }
  const shared: Partial<SharedReplica> = { slot: 3, index, attached: attached as AttachedReplica }
  return shared as SharedReplica
}

test("wants carry what is held, in frames that fit a control message", async () => {
  const summaries = Array.from({ length: 900 }, (_, n) => new Uint8Array(n % 3 === 0 ? 2_000 : 10))
  const frames = await wantFrames(
    sharedWith(summaries),
    summaries.map((_, n) => position(n)),
  )
  const items = frames.flatMap((frame) => (frame.type === "want" ? frame.items : []))
  expect(items.map(({ summary }) => summary.length)).toEqual(summaries.map(({ length }) => length))
  for (const frame of frames) {
    expect(framedBytes(encodeFrame(frame).length)).toBeLessThanOrEqual(CONTROL_MESSAGE_BYTES)
  }
})

test("an entry whose summary is too long, or not held, is asked for as a whole", async () => {
  const frames = await wantFrames(sharedWith([new Uint8Array(13_000)]), [position(0), position(7)])
  expect(frames).toEqual([
    {
      type: "want",
      slot: 3,
      items: [
        { position: position(0), summary: new Uint8Array(0) },
        { position: position(7), summary: new Uint8Array(0) },
      ],
    },
  ])
})

test("a replica that cannot summarise does not keep entries from being asked for", async () => {
  const frames = await wantFrames(sharedWith(new Error("closed")), [position(1)])
  expect(frames).toHaveLength(1)
})
