/** How often each kind of fault really happened: a simulator that stops injecting one would stay green. */
export interface Faults {
  count(kind: string, times?: number): void
  readonly counts: ReadonlyMap<string, number>
}

export function createFaults(): Faults {
  const counts = new Map<string, number>()
  return {
    count(kind, times = 1) {
      counts.set(kind, (counts.get(kind) ?? 0) + times)
    },
    counts,
  }
}

/** Every kind that a run of many seeds must have met. */
export const FAULT_KINDS: readonly string[] = [
  "link-lost",
  "link-lost-silently",
  "reordered-across-links",
  "duplicated-message",
  "delayed-message",
  "partition",
  "partition-one-way",
  "crash",
  "restart",
  "unsynced-writes",
  "torn-writes",
  "disk-rollback",
  "disk-slow",
  "write-refused-by-disk",
  "read-refused-by-disk",
  "copied-profile",
  "clock-step",
  "lagged-materialisation",
  "slow-peer",
  "garbage",
  "refused-entry",
  "two-schema-tags",
  "two-handler-versions",
  "reader",
  "one-way-replica",
  "joined-late",
  "twin",
  "synced-with-twin",
  "left",
  "returned",
  "reopened-replica",
  "attachment",
  "attachment-fetched-in-part",
  "presence",
  "synced-resolved",
  "topology:mesh",
  "topology:ring",
  "topology:star",
  "topology:line",
  "topology:random",
  "handler:later-wins",
  "handler:field-wise",
  "handler:not-commutative",
  "handler:not-associative",
  "handler:update-wins",
  "handler:deletes-all",
  "handler:throwing",
  "handler:mutating",
  "handler:invalid-output",
  "handler:slow",
  "handler:not-deterministic",
  "handler-failed",
]
