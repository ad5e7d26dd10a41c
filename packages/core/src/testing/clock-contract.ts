import type { Clock } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"
import { type ContractCase, demand } from "./contract-case.ts"

/** What `Clock` promises. `pass` lets time go by: in virtual time by running it, else by waiting. */
export function clockContract(adapter: {
  readonly clock: Clock
  readonly pass: (ms: number) => Promise<void>
}): readonly ContractCase[] {
  const { clock, pass } = adapter
  return [
    {
      name: "wakes once, not before its time, in the order of delays",
      async run() {
        const woken: string[] = []
        const startedAt = clock.monotonic()
        let wokenAt = Number.NaN
        clock.after(60, () => woken.push("later"))
        clock.after(20, () => {
          wokenAt = clock.monotonic()
          woken.push("sooner")
        })
        await pass(200)
        demand(woken.join() === "sooner,later", `sooner, then later; got ${woken.join() || "nothing"}`)
        // Timers of the platform round down to whole milliseconds.
        demand(wokenAt - startedAt >= 19, "not before 20 ms have passed")
      },
    },
    {
      name: "does not wake what was cancelled",
      async run() {
        let woken = false
        const cancel = clock.after(20, () => {
          woken = true
        })
        cancel()
        cancel()
        await pass(100)
        demand(!woken, "a cancelled timer stays silent")
      },
    },
    {
      name: "never goes back by monotonic, and tells milliseconds since 1970 by now",
      async run() {
        const before = clock.monotonic()
        await pass(20)
        demand(clock.monotonic() >= before, "monotonic does not go back")
        demand(clock.now() > Date.UTC(2020, 0), "now is a date of our times")
      },
    },
  ]
}

/** What `Random` promises, as far as a test can tell. */
export function randomContract(random: Random): readonly ContractCase[] {
  return [
    {
      name: "gives as many bytes as asked for, and other ones each time",
      async run() {
        demand(random.bytes(0).length === 0, "no bytes when none are asked for")
        const drawn = new Set(Array.from({ length: 100 }, () => random.bytes(16).join()))
        demand(drawn.size === 100, "16 bytes do not repeat within 100 draws")
      },
    },
    {
      name: "gives units in [0, 1), spread evenly",
      async run() {
        const draws = Array.from({ length: 4_000 }, () => random.unit())
        demand(
          draws.every((unit) => unit >= 0 && unit < 1),
          "0 ≤ unit < 1",
        )
        const mean = draws.reduce((sum, unit) => sum + unit, 0) / draws.length
        demand(Math.abs(mean - 0.5) < 0.05, `a mean near 0.5, got ${mean}`)
      },
    },
  ]
}
