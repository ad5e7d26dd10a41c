import { describe, expect, test } from "vitest"
import { systemClock } from "../ports/clock.ts"
import { systemRandom } from "../ports/random.ts"
import { clockContract, randomContract } from "./clock-contract.ts"
import type { ContractCase } from "./contract-case.ts"
import { createMemoryStore } from "./memory-store.ts"
import { createSeededRandom } from "./seeded-random.ts"
import { createSimulatedTime, type SimulatedTime } from "./simulated-clock.ts"
import { createSimulatedDisk } from "./simulated-disk.ts"
import { storeContract } from "./store-contract.ts"

function check(cases: readonly ContractCase[]): void {
  test.each(cases)("$name", ({ run }) => run())
}

const simulated = createSimulatedTime()

describe("the system's clock", () =>
  check(
    clockContract({
      clock: systemClock(),
      pass: (ms) =>
        new Promise((resolve) => {
          setTimeout(resolve, ms)
        }),
    }),
  ))
describe("a simulated clock", () =>
  check(clockContract({ clock: simulated.clock(), pass: (ms) => simulated.runFor(ms) })))
describe("the system's randomness", () => check(randomContract(systemRandom())))
describe("seeded randomness", () => check(randomContract(createSeededRandom(1))))
describe("a memory store", () => check(storeContract({ open: async () => createMemoryStore() })))

/** Lets virtual time pass for as long as a test waits for it. */
function keepRunning(time: SimulatedTime): () => void {
  let running = true
  const go = async (): Promise<void> => {
    while (running) await time.runFor(10)
  }
  void go()
  return () => {
    running = false
  }
}

describe("a simulated disk", () => {
  const time = createSimulatedTime()
  const newDisk = () => createSimulatedDisk({ time, random: createSeededRandom("disk") })
  let disk = newDisk()
  const cases = storeContract({
    async open() {
      disk = newDisk()
      return disk.open()
    },
    reopen: async () => disk.open(),
  })
  test.each(cases)("$name", async ({ run }) => {
    const stop = keepRunning(time)
    await run().finally(stop)
  })

  test("forgets in a crash what it did not acknowledge, and keeps what it did", async () => {
    for (let seed = 0; seed < 50; seed++) {
      const own = createSimulatedTime()
      const crashing = createSimulatedDisk({ time: own, random: createSeededRandom(seed) })
      const store = crashing.open()
      const done: string[] = []
      for (const key of ["a", "b", "c"]) {
        void store.write([{ key, value: Uint8Array.of(1) }]).then(() => done.push(key))
      }
      await own.runFor(seed / 5)
      crashing.crash()
      await own.runFor(1_000)
      const held = [...crashing.image().keys()].join()
      expect("a,b,c".startsWith(held)).toBe(true)
      for (const key of done) expect(held).toContain(key)
    }
  })

  test("comes back from a backup as it was", async () => {
    const own = createSimulatedTime()
    const disk2 = createSimulatedDisk({ time: own, random: createSeededRandom(1) })
    const write = disk2.open().write([{ key: "a", value: Uint8Array.of(1) }])
    await own.runFor(100)
    await write
    const backup = disk2.image()
    const second = disk2.open().write([{ key: "a", value: Uint8Array.of(2) }])
    await own.runFor(100)
    await second
    disk2.crash()
    disk2.restore(backup)
    expect(disk2.image().get("a")).toEqual(Uint8Array.of(1))
  })
})

describe("seeded randomness", () => {
  test("repeats with its seed, and forks do not shift each other", () => {
    const draw = (seed: string): number[] => {
      const random = createSeededRandom(seed)
      return Array.from({ length: 5 }, () => random.below(1_000_000))
    }
    expect(draw("a")).toEqual(draw("a"))
    expect(draw("a")).not.toEqual(draw("b"))
    const [one, other] = [createSeededRandom(7), createSeededRandom(7)]
    one.unit()
    expect(one.fork("x").unit()).toBe(other.fork("x").unit())
  })
})
