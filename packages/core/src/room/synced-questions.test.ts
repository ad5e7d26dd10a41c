import { describe, expect, test } from "vitest"
import { DecodeError } from "../protocol/decode-error.ts"
import type { Frame } from "../protocol/frame.ts"
import { hexToBytes } from "../protocol/hex.ts"
import { createSyncedQuestions, type DeviceHolding } from "./synced-questions.ts"

const question = { slots: [0], positions: [] } as const
const DEVICE = "0d".repeat(32)
const SYNCED: readonly DeviceHolding[] = [{ device: DEVICE, holding: "synced" }]
const PENDING: readonly DeviceHolding[] = [{ device: DEVICE, holding: "pending" }]

function create() {
  const said: Frame[] = []
  const questions = createSyncedQuestions({ control: (frame) => void said.push(frame) }, () => {})
  const answered = (nonce: number, [{ holding }] = PENDING as [DeviceHolding]): void =>
    questions.answered({
      type: "synced-answer",
      nonce,
      devices: [{ device: hexToBytes(DEVICE), holding }],
    })
  return { questions, said, answered }
}

describe("questions between sessions of a device", () => {
  test("are answered by number, as often as there is news", () => {
    const { questions, said, answered } = create()
    const heard: unknown[] = []
    questions.ask(question, (holdings) => heard.push("first", holdings))
    questions.ask({ ...question, slots: [3, 4] }, (holdings) => heard.push("second", holdings))
    expect(said).toEqual([
      { type: "synced-want", nonce: 1, over: false, ...question },
      { type: "synced-want", nonce: 2, over: false, positions: [], slots: [3, 4] },
    ])
    answered(2)
    answered(99)
    answered(2, SYNCED as [DeviceHolding])
    answered(1)
    expect(heard).toEqual(["second", PENDING, "second", SYNCED, "first", PENDING])
  })

  test("are 1,024 at a time: the next is asked once one is taken back", () => {
    const { questions, said, answered } = create()
    const takeBack = Array.from({ length: 1_024 }, () => questions.ask(question, () => {}))
    expect(takeBack).not.toContain(null)
    answered(1, SYNCED as [DeviceHolding])
    expect(questions.ask(question, () => {})).toBeNull()
    expect(said).toHaveLength(1_024)
    takeBack[5]?.()
    expect(questions.ask(question, () => {})).not.toBeNull()
  })

  test("are taken back, and make room for others", () => {
    const { questions, said, answered } = create()
    const heard: unknown[] = []
    const takeBack = questions.ask(question, (holdings) => heard.push(holdings))
    takeBack?.()
    takeBack?.()
    answered(1)
    expect(heard).toEqual([])
    expect(said.slice(1)).toEqual([{ type: "synced-want", nonce: 1, over: true, slots: [], positions: [] }])
    const asker = create()
    const signals: AbortSignal[] = []
    for (let n = 0; n < 3_000; n++) {
      asker.questions.asked(n, (signal) => signals.push(signal))
      asker.questions.asked(n, null)
    }
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
    expect(asker.said).toEqual([])
  })

  test("that are asked without end break the protocol, even if they are answered", () => {
    const { questions, said } = create()
    for (let n = 0; n < 1_024; n++) questions.asked(n, (_signal, tell) => tell(SYNCED))
    expect(said).toHaveLength(1_024)
    expect(() => questions.asked(1_024, () => {})).toThrow(DecodeError)
    questions.asked(5, null)
    expect(() => questions.asked(1_025, () => {})).not.toThrow()
  })

  test("name at most as many devices as a session may be linked to", () => {
    const { questions, said } = create()
    questions.asked(1, (_signal, tell) => tell(Array.from({ length: 300 }, () => SYNCED[0] as DeviceHolding)))
    expect(said.map((frame) => frame.type === "synced-answer" && frame.devices.length)).toEqual([256])
  })

  test("end with the link", () => {
    const { questions } = create()
    const signals: AbortSignal[] = []
    questions.asked(1, (signal) => signals.push(signal))
    questions.close()
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  })
})
