import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { MAX_ASKED_KEYS, parseTabMessage, type TabMessage } from "./tab-message.ts"

const messages: readonly TabMessage[] = [
  { type: "here" },
  { type: "ask", id: "1f", question: { isPatient: false } },
  { type: "ask", id: "1f", question: { isPatient: true, keys: ["a", "b"], peers: 2, session: "5e" } },
  { type: "drop", id: "1f" },
  { type: "heard", id: "1f" },
  { type: "answer", id: "1f", outcome: { type: "held" } },
  { type: "answer", id: "1f", outcome: { type: "refused", message: "why" } },
]

describe("what tabs say to each other", () => {
  test("is read as it was said", () => {
    for (const message of messages) expect(parseTabMessage(structuredClone(message))).toEqual(message)
  })

  test("has nothing in it that nobody asked for", () => {
    const [, ask] = messages
    expect(parseTabMessage({ ...ask, more: 1, question: { isPatient: false, signal: {} } })).toEqual(ask)
  })

  test("is nothing when it is too large, or of another kind", () => {
    const keys = (count: number, length = 1): readonly string[] =>
      Array.from({ length: count }, () => "k".repeat(length))
    const ask = (question: object): unknown => ({
      type: "ask",
      id: "1f",
      question: { isPatient: true, ...question },
    })
    expect(parseTabMessage(ask({ keys: keys(MAX_ASKED_KEYS) }))).not.toBeNull()
    for (const strange of [
      ask({ keys: keys(MAX_ASKED_KEYS + 1) }),
      ask({ keys: keys(1, 5_000) }),
      ask({ keys: { length: 1 } }),
      ask({ keys: [1] }),
      ask({ keys: Array(1) }),
      ask({ peers: "2" }),
      ask({ session: "5".repeat(65) }),
      ask({ isPatient: 1 }),
      { type: "ask", id: "1f" },
      { type: "ask", id: "1".repeat(65), question: { isPatient: true } },
      { type: "answer", id: "1f", outcome: "held" },
      { type: "answer", id: "1f", outcome: { type: "no-peers" } },
      { type: "answer", id: "1f", outcome: { type: "failed", message: "w".repeat(501) } },
      { type: "heard" },
      "here",
      null,
    ])
      expect(parseTabMessage(strange)).toBeNull()
  })

  test("never throws, whatever speaks there", () => {
    fc.assert(
      fc.property(
        fc.anything(),
        fc.constantFrom("ask", "answer", "drop", "heard", "here"),
        fc.anything(),
        (data, type, field) => {
          parseTabMessage(data)
          parseTabMessage({ type, id: "1f", question: field, outcome: field })
          parseTabMessage({ type, id: field, question: { isPatient: true, keys: field, peers: field } })
        },
      ),
    )
  })
})
