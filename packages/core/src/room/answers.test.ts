import { expect, test } from "vitest"
import type { DataFrame, Frame, PushFrame } from "../protocol/frame.ts"
import { createInbox } from "../protocol/inbox.ts"
import { CREDIT_WINDOW_BYTES } from "../protocol/limits.ts"
import { decodeMessage } from "../protocol/message.ts"
import { createOutbox } from "../protocol/outbox.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import { createAnswers } from "./answers.ts"

const DATA: DataFrame = {
  type: "data",
  slot: 0,
  kind: 1,
  key: "k",
  digest: new Uint8Array(8),
  delta: new Uint8Array(3),
}
const PUSH: PushFrame = { ...DATA, type: "push", before: DATA.digest, after: DATA.digest }

function create() {
  const time = createSimulatedTime()
  const sent: Frame["type"][][] = []
  const inbox = createInbox({ acquire: () => true, release() {}, isWanted: () => false })
  const outbox = createOutbox({
    send: (_lane, message) => void sent.push(decodeMessage(message).map(({ frame }) => frame.type)),
    buffered: () => 0,
    maxMessageBytes: 65_536,
  })
  const flush = (): void => {
    answers.queue()
    outbox.flush()
  }
  const answers = createAnswers({ inbox, outbox, clock: time.clock(), flush })
  const take = (size: number, frame: DataFrame | PushFrame = PUSH): void => {
    const payload = inbox.receive(frame, size)
    if (payload !== null) inbox.settle(payload.receipt)
    flush()
  }
  return { time, sent, outbox, answers, flush, take }
}

test("an acknowledgement goes with the next frame", async () => {
  const { time, sent, outbox, flush, take } = create()
  take(10)
  take(10)
  expect(sent).toEqual([])
  outbox.control({ type: "ping", nonce: 1 })
  flush()
  expect(sent).toEqual([["ping", "ack"]])
  await time.runFor(1_000)
  expect(sent).toHaveLength(1)
})

test("an acknowledgement that finds no company goes alone, one for all that came meanwhile", async () => {
  const { time, sent, take } = create()
  take(10)
  take(10)
  await time.runFor(10)
  expect(sent).toEqual([["ack"]])
  expect(time.pending).toBe(0)
})

test("while entries keep coming in bulk nothing is sent but credit, and now and then a count", async () => {
  const { time, sent, take } = create()
  for (let n = 0; n < 12; n++) {
    take(10, DATA)
    await time.runFor(3)
  }
  expect(sent).toEqual([])
  await time.runFor(10)
  expect(sent).toEqual([["ack"]])
  for (let n = 0; n < 30; n++) {
    take(10, DATA)
    await time.runFor(3)
  }
  expect(sent).toEqual([["ack"], ["ack"]])
})

test("a change that comes amid them is acknowledged as soon as any", async () => {
  const { time, sent, take } = create()
  take(10, DATA)
  take(10)
  await time.runFor(3)
  take(10, DATA)
  await time.runFor(5)
  expect(sent).toEqual([["ack"]])
})

test("credit does not wait: without it the other side stops", () => {
  const { sent, take } = create()
  take(CREDIT_WINDOW_BYTES / 2, DATA)
  expect(sent).toEqual([["ack", "credit"]])
})

test("nothing is sent after the end", async () => {
  const { time, sent, answers, take } = create()
  take(10)
  answers.close()
  await time.runFor(1_000)
  expect(sent).toEqual([])
})
