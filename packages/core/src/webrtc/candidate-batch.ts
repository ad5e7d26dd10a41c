import { ByteReader } from "../protocol/byte-reader.ts"
import { ByteWriter } from "../protocol/byte-writer.ts"

/** An ICE candidate as it travels. There is one media section, so only its id is needed besides. */
export interface Candidate {
  readonly candidate: string
  readonly mid: string
}

const MAX_CANDIDATES = 64
const MAX_CANDIDATE_BYTES = 512
const MAX_MID_BYTES = 16

/** Takes at most as many as fit one envelope; the caller sends the rest in a further batch. */
export function encodeCandidates(candidates: readonly Candidate[]): Uint8Array {
  const write = new ByteWriter(512).varint(candidates.length)
  for (const { candidate, mid } of candidates) write.text(candidate).text(mid)
  return write.finish()
}

export const CANDIDATES_PER_BATCH = 16

/** Throws `DecodeError`. */
export function decodeCandidates(payload: Uint8Array): readonly Candidate[] {
  const read = new ByteReader(payload)
  const candidates: Candidate[] = []
  for (let left = read.count(MAX_CANDIDATES, 2); left > 0; left--) {
    candidates.push({ candidate: read.text(MAX_CANDIDATE_BYTES), mid: read.text(MAX_MID_BYTES) })
  }
  read.end()
  return candidates
}
