import type { SyncEngineEvents } from "@dunlin/core/testing"

/** For a world whose peers are all ours: a violation of the protocol fails the world, and nothing else is of interest. */
export const strictEvents: SyncEngineEvents = {
  presence: () => undefined,
  replicaReport: () => undefined,
  violation: (_session, code, detail) => {
    throw new Error(`${code}: ${detail}`)
  },
  reconciled: () => undefined,
  refused: () => undefined,
}
