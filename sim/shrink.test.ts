import { expect, test } from "vitest"
import { createScenario, type Scenario } from "./scenario.ts"
import { shrink } from "./shrink.ts"

const kept = ({ peers }: Scenario): readonly number[] => peers.map(({ preload }) => preload)

test("a world that fails whatever it has loses everything, and shrinking ends", async () => {
  const { scenario, failure } = await shrink(
    createScenario("7"),
    async () => "always",
    () => {},
  )
  expect(failure).toBe("always")
  expect([scenario.peers.length, scenario.events.length, scenario.edges.length]).toEqual([2, 0, 0])
  expect(kept(scenario)).toEqual([0, 0])
})

test("keeps what the failure needs, and nothing else", async () => {
  const given = createScenario("2008350")
  const needs = ({ peers, events }: Scenario): boolean =>
    peers.filter(({ preload }) => preload > 0).length > 1 &&
    events.some(({ type }) => type === "await-synced")
  expect(needs(given)).toBe(true)
  const { scenario } = await shrink(
    given,
    async (candidate) => (needs(candidate) ? "still" : null),
    () => {},
  )
  expect(scenario.events.map(({ type }) => type)).toEqual(["await-synced"])
  expect(kept(scenario)).toEqual([1, 1])
})

test("a world that does not fail stays as it is", async () => {
  const given = createScenario("7")
  expect(
    await shrink(
      given,
      async () => null,
      () => {},
    ),
  ).toEqual({ scenario: given, failure: null })
})
