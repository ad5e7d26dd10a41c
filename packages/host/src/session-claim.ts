import type { Millis } from "@dunlin/core"
import type { Member, RemoteMember } from "./topic-directory.ts"

const BIRTH_TIME_BYTES = 8
export const BIRTH_BYTES = 12
/** Hosts exchange it in 32 bits. */
const MAX_GENERATION = 0xffff_ffff

/**
 * Who owns a session that two hosts claim; every host decides alike. A host may have admitted someone under a peer id
 * because it had not heard of the owner. That session has another birth, and yields to the older one unless its client
 * has shown the other's secret.
 */
export function prevails(remote: RemoteMember, present: Member, owner: string): boolean {
  const isSame = remote.birth === present.birth
  if (isSame && remote.generation !== present.generation) return remote.generation > present.generation
  if (remote.took === present.claim) return true
  if (present.took === remote.claim) return false
  return isSame ? remote.node >= owner : remote.birth < present.birth
}

/** When a broken or hostile host has counted to the maximum, only the claims tell who resumed from whom. */
export function nextGeneration(generation: number): number {
  return Math.min(generation + 1, MAX_GENERATION)
}

/** Hosts are assumed to agree on the time; any difference between their clocks is a head start for a thief. */
export function birthOf(now: Millis, claim: string): string {
  const time = Buffer.alloc(BIRTH_TIME_BYTES)
  time.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(now))))
  return time.toString("latin1") + claim.slice(0, BIRTH_BYTES - BIRTH_TIME_BYTES)
}
