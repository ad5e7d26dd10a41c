import { expect, test } from "vitest"
import { createPeerVerdicts, type PeerVerdicts, VERDICT_MS } from "./peer-verdicts.ts"

interface Asked {
  readonly device: string
  readonly session: string
}

function asking(answer: (peer: Asked) => boolean | Promise<boolean>): {
  readonly verdicts: PeerVerdicts<Asked>
  readonly asked: string[]
  pass(ms: number): void
} {
  let now = 0
  const asked: string[] = []
  const verdicts = createPeerVerdicts<Asked>({
    check(peer) {
      asked.push(peer.session)
      return answer(peer)
    },
    subjectOf: ({ device }) => device,
    now: () => now,
  })
  return {
    verdicts,
    asked,
    pass(ms) {
      now += ms
    },
  }
}

test("a verdict on a device holds for a minute, whatever its session", async () => {
  const { verdicts, asked, pass } = asking(({ device }) => device === "friend")
  expect(await verdicts.of({ device: "friend", session: "1" })).toBe(true)
  expect(await verdicts.of({ device: "friend", session: "2" })).toBe(true)
  expect(await verdicts.of({ device: "stranger", session: "3" })).toBe(false)
  pass(VERDICT_MS - 1)
  expect(await verdicts.of({ device: "stranger", session: "4" })).toBe(false)
  expect(asked).toEqual(["1", "3"])
  pass(1)
  expect(await verdicts.of({ device: "stranger", session: "5" })).toBe(false)
  expect(asked).toEqual(["1", "3", "5"])
})

test("who is being asked is not asked again, however long it takes, and the minute begins with the answer", async () => {
  let answer = (_verdict: boolean): void => {}
  const person = new Promise<boolean>((resolve) => {
    answer = resolve
  })
  const { verdicts, asked, pass } = asking(() => person)
  const first = verdicts.of({ device: "a", session: "1" })
  pass(10 * VERDICT_MS)
  const second = verdicts.of({ device: "a", session: "2" })
  answer(true)
  expect(await Promise.all([first, second])).toEqual([true, true])
  pass(VERDICT_MS - 1)
  expect(await verdicts.of({ device: "a", session: "3" })).toBe(true)
  expect(asked).toEqual(["1"])
})

test("a check that fails is no verdict", async () => {
  let fails = true
  const { verdicts } = asking(() => {
    if (fails) throw new Error("the list of friends did not load")
    return true
  })
  await expect(verdicts.of({ device: "a", session: "1" })).rejects.toThrow("did not load")
  fails = false
  expect(await verdicts.of({ device: "a", session: "1" })).toBe(true)
})

test("a flood of devices is forgotten, the eldest first", async () => {
  const { verdicts, asked } = asking(() => false)
  for (let n = 0; n < 2_000; n++) await verdicts.of({ device: `d${n}`, session: `${n}` })
  await verdicts.of({ device: "d1999", session: "again" })
  expect(asked).toHaveLength(2_000)
  await verdicts.of({ device: "d0", session: "again" })
  expect(asked).toHaveLength(2_001)
})
