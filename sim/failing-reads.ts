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
      const assertReadable = (): void => {
        if (fails()) throw new Error("the disk cannot be read")
      }
      return {
        ...attached,
        async summarize(keys) {
          assertReadable()
          return attached.summarize(keys)
        },
        async read(requests, peer) {
          assertReadable()
          return attached.read(requests, peer)
        },
      }
    },
  }
}
