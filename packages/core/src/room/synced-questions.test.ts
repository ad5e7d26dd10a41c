import { describe, expect, test } from "vitest"
import { DecodeError } from "../protocol/decode-error.ts"
import type { Frame, SyncedOutcome } from "../protocol/frame.ts"
import { createSyncedQuestions } from "./synced-questions.ts"

const question = { devices: 1, slot: 0, patient: true, positions: [] } as const

function create() {
  const said: Frame[] = []
  const questions = createSyncedQuestions({ control: (frame) => void said.push(frame) }, () => {})
  return { questions, said }
}

describe("questions between sessions of a device", () => {
  test("are answered by number, once", () => {
    const { questions, said } = create()
    const heard: string[] = []
    questions.ask(question, (outcome) => heard.push(`first ${outcome}`))
    questions.ask({ ...question, slot: 3 }, (outcome) => heard.push(`second ${outcome}`))
    expect(said).toEqual([
      { type: "synced-want", nonce: 1, ...question },
      { type: "synced-want", nonce: 2, ...question, slot: 3 },
    ])
    questions.answered(2, "refused")
    questions.answered(2, "synced")
    questions.answered(99, "synced")
    questions.answered(1, "synced")
    expect(heard).toEqual(["second refused", "first synced"])
  })

  test("are 1,024 at a time: the next is asked once one is answered", () => {
    const { questions, said } = create()
    for (let n = 0; n < 1_024; n++) expect(questions.ask(question, () => {})).not.toBeNull()
    expect(questions.ask(question, () => {})).toBeNull()
    expect(said).toHaveLength(1_024)
    questions.answered(1, "synced")
    expect(questions.ask(question, () => {})).not.toBeNull()
  })

  test("are taken back, and make room for others", async () => {
    const { questions, said } = create()
    const heard: string[] = []
    const takeBack = questions.ask(question, (outcome) => heard.push(outcome))
    takeBack?.()
    takeBack?.()
    questions.answered(1, "synced")
    expect(heard).toEqual([])
    expect(said.slice(1)).toEqual([{ type: "synced-want", nonce: 1, ...question, devices: 0 }])
    const asker = create()
    for (let n = 0; n < 3_000; n++) {
      asker.questions.asked(
        n,
        (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      )
      asker.questions.asked(n, null)
    }
    expect(asker.said).toEqual([])
  })

  test("that are asked without end break the protocol", async () => {
    const { questions } = create()
    const open: ((outcome: SyncedOutcome) => void)[] = []
    const answer = (): Promise<SyncedOutcome> => new Promise((resolve) => open.push(resolve))
    for (let n = 0; n < 1_024; n++) questions.asked(n, answer)
    expect(() => questions.asked(1_024, answer)).toThrow(DecodeError)
    open[0]?.("synced")
    await new Promise((resolve) => setTimeout(resolve))
    expect(() => questions.asked(1_025, answer)).not.toThrow()
  })

  test("end with the link, and are not answered then", async () => {
    const { questions, said } = create()
    let reason: unknown = null
    questions.asked(
      1,
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject((reason = signal.reason)))
        }),
    )
    questions.close()
    await new Promise((resolve) => setTimeout(resolve))
    expect(reason).toMatchObject({ name: "AbortError" })
    expect(said).toEqual([])
  })
})
