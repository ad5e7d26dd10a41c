import { describe, test } from "vitest"
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
