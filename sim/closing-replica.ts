import type { Replica } from "@dunlin/core"
import type { MemoryCollection } from "@dunlin/core/testing"

/** A replica that can be told to close by itself, as with its collection. */
export interface ClosingReplica {
  readonly replica: Replica<MemoryCollection>
  /** Withdraws the replica from its room. Resolves when its store is free. */
  close(): Promise<void>
}

export function createClosingReplica(replica: Replica<MemoryCollection>): ClosingReplica {
  let release = (): void => {}
  let detached = (): void => {}
  const closed = new Promise<void>((resolve) => (detached = resolve))
  return {
    replica: {
      ...replica,
      async attach(host, options) {
        release = host.released
        const attached = await replica.attach(host, options)
        return { ...attached, detach: () => attached.detach().finally(detached) }
      },
    },
    close() {
      release()
      return closed
    },
  }
}
