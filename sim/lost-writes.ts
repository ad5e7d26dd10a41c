import { covers, type Dot } from "@dunlin/core"
import { type DiskImage, readStoredDocument } from "@dunlin/core/testing"
import type { Device } from "./device.ts"
import type { History } from "./history.ts"
import { isFull } from "./scenario.ts"

/** Marks acknowledged writes that no disk can pass on any more: they were lost with a disk, not by the protocol. */
export function markLostWrites(devices: readonly Device[], history: History): void {
  const images = new Map(devices.filter(({ gone }) => !gone).map((one) => [one, one.disk.image()]))
  for (const write of history.writes) {
    if (write.gone || !write.acknowledged) continue
    const author = devices[write.device] as Device
    const holders = [...images].filter(
      ([holder, image]) =>
        (holder === author || (isFull(holder.plan) && holder.plan.schemaTag === author.plan.schemaTag)) &&
        isOnDisk(image, write.document, write.dot),
    )
    write.gone = holders.length === 0
    write.heldBy = new Set(holders.map(([{ index }]) => index))
  }
}

export function isOnDisk(image: DiskImage, document: string, dot: Dot): boolean {
  const state = readStoredDocument(image, document)
  return state !== null && covers(state.context, dot)
}
