import type { Replica } from "@dunlin/core"
import type { MemoryCollection } from "@dunlin/core/testing"

/** A replica whose storage cannot be read while `fails` says so. */
export function withFailingReads(
  replica: Replica<MemoryCollection>,
  fails: () => boolean,
): Replica<MemoryCollection> {
  return {
    ...replica,
    async attach(host, options) {
      const attached = await replica.attach(host, options)
      return {
        ...attached,
        async read(requests, peer) {
          if (fails()) throw new Error("the disk cannot be read")
          return attached.read(requests, peer)
        },
      }
    },
  }
}
