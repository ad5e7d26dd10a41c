import type { Frame, WantItem } from "../protocol/frame.ts"
import { NO_BYTES } from "../protocol/same-bytes.ts"
import type { SharedReplica } from "./shared-replica.ts"

/** Bytes of summaries in one WANT frame, which must fit a control message. A summary that is longer is left out. */
const MAX_SUMMARIES_BYTES = 12_288
const MAX_WANT_ITEMS = 512
const ITEM_OVERHEAD_BYTES = 24

/** WANT frames for entries, with summaries of what is held of them; without a summary the whole entry is asked for. */
export async function wantFrames(
  shared: SharedReplica,
  positions: readonly Uint8Array[],
): Promise<readonly Frame[]> {
  const summaries = await readSummaries(shared, positions)
  const frames: Frame[] = []
  let items: WantItem[] = []
  let bytes = 0
  for (const [at, position] of positions.entries()) {
    const held = summaries[at] ?? NO_BYTES
    const summary = held.length > MAX_SUMMARIES_BYTES ? NO_BYTES : held
    const size = summary.length + ITEM_OVERHEAD_BYTES
    if (items.length > 0 && (items.length >= MAX_WANT_ITEMS || bytes + size > MAX_SUMMARIES_BYTES)) {
      frames.push({ type: "want", slot: shared.slot, items })
      items = []
      bytes = 0
    }
    items.push({ position, summary })
    bytes += size
  }
  if (items.length > 0) frames.push({ type: "want", slot: shared.slot, items })
  return frames
}

async function readSummaries(
  shared: SharedReplica,
  positions: readonly Uint8Array[],
): Promise<readonly (Uint8Array | undefined)[]> {
  const keys = positions.map((position) => shared.index.get(position)?.key)
  const known = keys.filter((key) => key !== undefined)
  if (known.length === 0) return []
  try {
    const summaries = await shared.attached.summarize(known)
    let next = 0
    return keys.map((key) => (key === undefined ? undefined : summaries[next++]))
  } catch {
    return []
  }
}
