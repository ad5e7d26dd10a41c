import type { Replica } from "@dunlin/core"
import type {
  MemoryCollection,
  MemoryReplicaOptions,
  SeededRandom,
  SimulatedDisk,
  SimulatedTime,
} from "@dunlin/core/testing"

/** A bug built into a world from outside, to see that the invariants notice it. */
export interface PlantedBug {
  readonly name: string
  /** What the replica is made with instead. */
  replicaOptions?(at: {
    readonly device: number
    /** How often the device was started before. */
    readonly started: number
    readonly random: SeededRandom
  }): Partial<MemoryReplicaOptions>
  wrapReplica?(
    replica: Replica<MemoryCollection>,
    at: { readonly disk: SimulatedDisk; readonly time: SimulatedTime },
  ): Replica<MemoryCollection>
  /** What arrives instead of a message; null for the message itself. */
  tap?(message: Uint8Array): readonly Uint8Array[] | null
}
