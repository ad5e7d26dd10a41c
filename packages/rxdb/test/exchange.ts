import type { AttachedReplica, JoinOutcome, ReplicaPeer } from "@dunlin/core"

/** The peer to exchange with where its identity does not matter. */
export const somebody: ReplicaPeer = { session: "00".repeat(16), device: "00".repeat(32) }

/** State hashes in hex, by key, of everything that the replica holds. */
export async function stateHashes(attached: AttachedReplica): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for await (const page of attached.scan(null))
    for (const { key, stateHash } of page.entries)
      if (stateHash !== null) found.set(key, Buffer.from(stateHash).toString("hex"))
  return found
}

/** `to` asks `from` for what it lacks of these entries. */
export async function pullEntries(
  to: AttachedReplica,
  from: AttachedReplica,
  keys: readonly string[],
): Promise<readonly JoinOutcome[]> {
  const summaries = await to.summarize(keys)
  const answers = await from.read(
    keys.map((key, at) => ({ key, summary: summaries[at] ?? new Uint8Array(0) })),
    somebody,
  )
  return to.join(
    answers.flatMap((answer, at) =>
      answer.type === "delta" ? [{ key: keys[at] ?? "", delta: answer.delta }] : [],
    ),
    somebody,
  )
}

/** The same, entry by entry and with attachment data. */
export async function pullWithBlobs(
  to: AttachedReplica,
  from: AttachedReplica,
  keys: readonly string[],
): Promise<void> {
  for (const key of keys) {
    for (;;) {
      const [outcome] = await pullEntries(to, from, [key])
      if (outcome?.type !== "missing-blobs") break
      for (const blob of outcome.blobs)
        for (const index of (await to.blobs?.missing(key, blob)) ?? []) {
          const chunk = await from.blobs?.read(key, blob.digest, index)
          if (chunk == null) throw new Error(`${key}: data that is not held there`)
          await to.blobs?.write(key, blob, index, chunk)
        }
    }
  }
}
