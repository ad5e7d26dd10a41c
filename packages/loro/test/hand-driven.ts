import {
  createState,
  type EntryChange,
  type ReplicaHost,
  type ReplicaReport,
  type AttachedReplica,
} from "@dunlin/core"

import type { LoroDocuments } from "../src/loro-documents.ts"
import { loroReplica, type LoroReplicaOptions } from "../src/loro-replica.ts"

/** A replica attached to no room: the test is the room. */
export interface HandDriven {
  readonly attached: AttachedReplica<LoroDocuments>
  readonly docs: LoroDocuments
  readonly changes: EntryChange[]
  readonly reports: ReplicaReport[]
  readonly device: string
}

export async function attachByHand(
  options: LoroReplicaOptions,
  device = "ab".repeat(32),
): Promise<HandDriven> {
  const changes: EntryChange[] = []
  const reports: ReplicaReport[] = []
  const host: ReplicaHost = {
    roomTag: new Uint8Array(32),
    device,
    changed: (some) => void changes.push(...some),
    report: (report) => void reports.push(report),
    released: () => undefined,
    synced: () => Promise.resolve(),
    links: createState(new Map<string, never>()),
  }
  const attached = await loroReplica(options).attach(host)
  return { attached, docs: attached.handle, changes, reports, device }
}

/** Asks, reads, joins and answers as a room does for one entry. Resolves to whether `to` changed. */
export async function pull(to: HandDriven, from: HandDriven, key: string): Promise<boolean> {
  let changed = false
  for (let round = 0; round < 8; round++) {
    const [summary] = await to.attached.summarize([key])
    const [read] = await from.attached.read([{ key, summary: summary ?? new Uint8Array(0) }], peer(to))
    if (read?.type !== "delta") return changed
    const [outcome] = await to.attached.join([{ key, delta: read.delta }], peer(from))
    if (outcome?.type === "incomplete") continue
    if (outcome?.type !== "joined") throw new Error(`join: ${JSON.stringify(outcome)}`)
    changed ||= outcome.changed
    if (outcome.senderLacks !== null) {
      const [answer] = await to.attached.read([{ key, summary: outcome.senderLacks }], peer(from))
      if (answer?.type === "delta") await from.attached.join([{ key, delta: answer.delta }], peer(to))
    }
    return changed
  }
  throw new Error("never complete")
}

/** Sends what `from` reported since last time as live pushes. */
export async function push(from: HandDriven, to: HandDriven): Promise<void> {
  for (const change of from.changes.splice(0)) {
    if (change.delta === undefined) await pull(to, from, change.key)
    else {
      const [outcome] = await to.attached.join([{ key: change.key, delta: change.delta }], peer(from))
      if (outcome?.type === "incomplete") await pull(to, from, change.key)
    }
  }
}

export async function keysOf(replica: HandDriven): Promise<readonly string[]> {
  const keys = new Set<string>()
  for await (const page of replica.attached.scan(null)) for (const entry of page.entries) keys.add(entry.key)
  return [...keys]
}

function peer(replica: HandDriven): { readonly session: string; readonly device: string } {
  return { session: replica.device.slice(0, 32), device: replica.device }
}
