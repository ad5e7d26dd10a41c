import { getEventListeners } from "node:events"
import { describe, expect, test } from "vitest"
import { createCallSignals } from "./call-signals.ts"

const reasonsOf = (calls: readonly { readonly signal: AbortSignal }[]): readonly unknown[] =>
  calls.map(({ signal }) => (signal.aborted ? signal.reason : "open"))

describe("signals of calls", () => {
  test("end with the signal that the application gave, and with no other", () => {
    const signals = createCallSignals()
    const [one, two] = [new AbortController(), new AbortController()]
    const calls = [one.signal, one.signal, two.signal, undefined].map(signals.open)
    one.abort("enough")
    expect(reasonsOf(calls)).toEqual(["enough", "enough", "open", "open"])
    expect(reasonsOf([signals.open(one.signal)])).toEqual(["enough"])
    signals.abortAll("closed")
    expect(reasonsOf(calls)).toEqual(["enough", "enough", "closed", "closed"])
  })

  test("take one listener, and leave none", () => {
    const signals = createCallSignals()
    const { signal } = new AbortController()
    const calls = Array.from({ length: 12 }, () => signals.open(signal))
    expect(getEventListeners(signal, "abort")).toHaveLength(1)
    const [first, ...others] = calls
    for (const call of others) call.close()
    for (const call of others) call.close()
    expect(getEventListeners(signal, "abort")).toHaveLength(1)
    first?.close()
    expect(getEventListeners(signal, "abort")).toHaveLength(0)
    const again = signals.open(signal)
    first?.close()
    expect(getEventListeners(signal, "abort")).toHaveLength(1)
    again.close()
  })
})
