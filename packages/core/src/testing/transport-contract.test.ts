import { describe, expect, test } from "vitest"
import { createMemoryNetwork } from "./memory-transport.ts"
import { transportContract } from "./transport-contract.ts"

for (const bound of [true, false]) {
  describe(`the memory transport, ${bound ? "bound to certificates" : "without certificates"}`, () => {
    const cases = transportContract({
      createPair() {
        const network = createMemoryNetwork()
        return [network.transport({ bound }), network.transport({ bound })]
      },
    })
    for (const { name, run } of cases) test(name, run)
  })
}

describe("a transport whose messages are too short", () => {
  for (const [bound, leastBytes] of [
    [true, 16_384],
    [false, 16_400],
  ] as const) {
    test(`is told that ${leastBytes} bytes must pass ${bound ? "with" : "without"} certificates`, async () => {
      const runWith = async (maxMessageBytes: number): Promise<void> => {
        const network = createMemoryNetwork()
        const transport = () => network.transport({ bound, maxMessageBytes })
        const cases = transportContract({ createPair: () => [transport(), transport()] })
        await cases.find(({ name }) => name.startsWith("the longest message"))?.run()
      }
      await runWith(leastBytes)
      await expect(runWith(leastBytes - 1)).rejects.toThrow(`at least ${leastBytes}`)
    })
  }
})
