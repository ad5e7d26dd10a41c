import type { Replica } from "@dunlin/core"
import type {
  MemoryCollection,
  MemoryReplicaOptions,
  SeededRandom,
  SimulatedDisk,
} from "@dunlin/core/testing"

/** A bug built into a world from outside, to see that the invariants notice it. */
export interface PlantedBug {
  readonly name: string
  /** Options that replace the usual ones of the replica. */
  replicaOptions?(at: PlantedAt): Partial<MemoryReplicaOptions>
  wrapReplica?(replica: Replica<MemoryCollection>): Replica<MemoryCollection>
  /** Which chunks of an attachment its store says are missing. */
  missingChunks?(missing: readonly number[], chunks: number): readonly number[]
  /** Everyone takes everyone for a writer. */
  readonly ignoresRoles?: boolean
  /** A change of the production source, made while the simulator is bundled. */
  readonly mutation?: Mutation
}

export interface PlantedAt {
  readonly device: number
  readonly disk: SimulatedDisk
  readonly random: SeededRandom
}

export interface Mutation {
  /** End of the path of a file. */
  readonly file: string
  /** Must be there exactly once: a mutation that no longer applies proves nothing. */
  readonly find: string
  readonly replace: string
}
