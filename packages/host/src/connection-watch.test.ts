import { createSimulatedTime } from "@dunlin/core/testing"
import { expect, test } from "vitest"
import type { Connection } from "./connection.ts"
import { watchConnections, type WatchOptions } from "./connection-watch.ts"
import { parseSettings } from "./parse-settings.ts"

test("a fault with one socket ends neither the watch of the others nor the rounds", async () => {
  const time = createSimulatedTime()
  const fault = new Error("a fault")
  const faulted: unknown[] = []
  let rounds = 0
  const broken = {
    alive: true,
    bufferedBytes: 0,
    get memberships(): never {
      throw fault
    },
  } as unknown as Connection
  const options = {
    connections: new Set([broken]),
    settings: parseSettings({}),
    clock: time.clock(),
    faulted: (connection: Connection, error: unknown) => void faulted.push(connection, error),
    round: () => void (rounds += 1),
  } as unknown as WatchOptions
  const watch = watchConnections(options)
  await time.runFor(3500)
  expect(faulted).toEqual([broken, fault, broken, fault, broken, fault])
  expect(rounds).toBe(3)
  watch.close()
})
