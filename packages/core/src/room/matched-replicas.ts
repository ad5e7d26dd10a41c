import { DecodeError } from "../protocol/decode-error.ts"
import type { AnnounceFrame, RootItem } from "../protocol/frame.ts"
import { MAX_REPLICAS } from "../protocol/limits.ts"
import type { LinkReplica } from "./link-replica-api.ts"
import type { LinkTarget, RoomReplica } from "./room-replica.ts"
import type { SharedReplica } from "./shared-replica.ts"

/** Which replicas both sides of a link share: pairs what the peer announces with what the room has. */
export interface MatchedReplicas {
  /** The peer announced a replica; reusing a slot ends what it meant before. Throws `DecodeError`. */
  announced(frame: AnnounceFrame): void
  withdrawn(slot: number): void
  added(replica: RoomReplica): void
  removed(name: string): void
  /** Whether the peer has ever announced the slot. */
  knows(slot: number): boolean
  /** What a frame's slot means; null when one side has just withdrawn it. Throws when it was never announced. */
  at(slot: number): LinkTarget | null
  /** By name. */
  readonly targets: ReadonlyMap<string, LinkTarget>
  /** Why a replica that the peer announced cannot be synchronised, in words; null when it can, or was not announced. */
  mismatch(shared: SharedReplica): string | null
  /** Roots of all replicas whose entries may travel. */
  roots(answer: boolean): readonly RootItem[]
  close(): void
}

export interface MatchedReplicasOptions {
  readonly rooms: () => Iterable<RoomReplica>
  readonly create: (room: RoomReplica, announced: AnnounceFrame) => LinkReplica
  readonly ended: (room: RoomReplica) => void
  readonly changed: () => void
}

export function createMatchedReplicas(options: MatchedReplicasOptions): MatchedReplicas {
  const announcedBySlot = new Map<number, AnnounceFrame>()
  const targets = new Map<string, LinkTarget>()
  /** Slots whose replica was withdrawn: frames about it may still be under way on the other lane. */
  const withdrawn = new Set<number>()

  const announcementOf = (name: string): AnnounceFrame | undefined =>
    [...announcedBySlot.values()].find((frame) => frame.name === name)

  const match = (room: RoomReplica): void => {
    const { name } = room.shared.replica
    const frame = announcementOf(name)
    if (frame === undefined || targets.has(name) || mismatchOf(room.shared, frame) !== null) return
    const own = options.create(room, frame)
    targets.set(name, { room, own })
    own.start()
  }

  const unmatch = (name: string): void => {
    const target = targets.get(name)
    if (target === undefined) return
    targets.delete(name)
    target.own.close()
    options.ended(target.room)
  }

  const knows = (slot: number): boolean => withdrawn.has(slot) || announcedBySlot.has(slot)

  return {
    announced(frame) {
      const former = announcedBySlot.get(frame.slot)
      if (former !== undefined) unmatch(former.name)
      announcedBySlot.delete(frame.slot)
      withdrawn.delete(frame.slot)
      if (announcementOf(frame.name) !== undefined) {
        throw new DecodeError("protocol-violation", "one replica in two slots")
      }
      if (announcedBySlot.size >= MAX_REPLICAS)
        throw new DecodeError("protocol-violation", "too many replicas")
      announcedBySlot.set(frame.slot, frame)
      for (const room of options.rooms()) if (room.shared.replica.name === frame.name) match(room)
      options.changed()
    },
    withdrawn(slot) {
      const frame = announcedBySlot.get(slot)
      if (frame === undefined) return
      announcedBySlot.delete(slot)
      withdrawn.add(slot)
      unmatch(frame.name)
      options.changed()
    },
    added(room) {
      match(room)
      options.changed()
    },
    removed(name) {
      unmatch(name)
      options.changed()
    },
    knows,
    at(slot) {
      if (!knows(slot)) throw new DecodeError("protocol-violation", "slot never announced")
      return targets.get(announcedBySlot.get(slot)?.name ?? "") ?? null
    },
    targets,
    roots: (answer) =>
      [...targets.values()]
        .filter(({ own }) => own.permissions.send || own.permissions.receive)
        .map(({ own }) => own.rootItem(answer)),
    mismatch(shared) {
      const frame = announcementOf(shared.replica.name)
      return frame === undefined ? null : mismatchOf(shared, frame)
    },
    close() {
      for (const { own } of targets.values()) own.close()
    },
  }
}

function mismatchOf({ replica }: SharedReplica, theirs: AnnounceFrame): string | null {
  if (theirs.kind !== replica.kind) return "incompatible: the peer keeps another kind of data under this name"
  if (theirs.schemaTag === replica.schemaTag) return null
  return `incompatible: the peer has schema ${theirs.schemaTag}, this app has ${replica.schemaTag}`
}

/** The frame that announces a replica to a peer, with the root at which its device was when both last agreed. */
export function announceFrame(
  { slot, index, history, replica }: SharedReplica,
  device: string,
): AnnounceFrame {
  const { name, kind, schemaTag, direction } = replica
  const root = index.root()
  history.told(root)
  const state = { count: index.count, root, basis: history.basisFor(device) }
  return { type: "announce", slot, name, kind, schemaTag, direction, ...state }
}
