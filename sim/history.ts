import type { Dot } from "@dunlin/core"
import type { MintedWrite } from "@dunlin/core/testing"

/** A write of the simulated world, and what its author knew. */
export interface GhostWrite {
  readonly id: number
  readonly device: number
  readonly document: string
  readonly dot: Dot
  /** This write, all that its author had seen, and so on all the way back. */
  readonly past: ReadonlySet<number>
  readonly deleted: boolean
  readonly forbidden: boolean
  acknowledged: boolean
  /** No disk that is still part of the world holds it. */
  gone: boolean
  /** After a disk was rolled back: the devices whose disks held it then. Others may never hear of it. */
  heldBy: ReadonlySet<number> | null
  passedToHandler: boolean
}

/** What really happened, recorded beside the system under test and by other means than its contexts. */
export interface History {
  readonly writes: readonly GhostWrite[]
  /** Dots that two writes got, which must never happen. */
  readonly reusedDots: readonly string[]
  minted(device: number, write: MintedWrite): void
  acknowledge(dot: Dot): void
  byDot(dot: Dot): GhostWrite | null
  /** The handler was called with this content. */
  handled(payload: { readonly [key: string]: unknown }): void
}

export function createHistory(): History {
  const writes: GhostWrite[] = []
  const writeByDot = new Map<string, GhostWrite>()
  const writeByNumber = new Map<unknown, GhostWrite>()
  const reusedDots: string[] = []

  return {
    writes,
    reusedDots,
    minted(device, { key, dot, value, seen }) {
      const past = new Set<number>([writes.length])
      for (const one of seen) for (const id of writeByDot.get(nameOf(one))?.past ?? []) past.add(id)
      const write: GhostWrite = {
        id: writes.length,
        device,
        document: key,
        dot,
        past,
        deleted: value.deleted,
        forbidden: value.payload["forbidden"] === true,
        acknowledged: false,
        gone: false,
        heldBy: null,
        passedToHandler: false,
      }
      writes.push(write)
      if (value.payload["w"] !== undefined) writeByNumber.set(value.payload["w"], write)
      if (writeByDot.has(nameOf(dot))) reusedDots.push(`${nameOf(dot)} of ${key}`)
      else writeByDot.set(nameOf(dot), write)
    },
    acknowledge(dot) {
      const write = writeByDot.get(nameOf(dot))
      if (write !== undefined) write.acknowledged = true
    },
    byDot: (dot) => writeByDot.get(nameOf(dot)) ?? null,
    handled(payload) {
      const write = writeByNumber.get(payload["w"])
      if (write !== undefined) write.passedToHandler = true
    },
  }
}

function nameOf({ incarnation, hlc }: Dot): string {
  return `${incarnation}@${hlc}`
}
