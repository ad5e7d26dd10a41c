import {
  type AuthenticatedPeer,
  type Diagnostic,
  type Identity,
  openRoom,
  type Room,
  topicInvite,
  type Transport,
} from "@dunlin/core"
import type { RxDatabase } from "rxdb"
import { unlessAborted } from "../unless-aborted.ts"
import { DropInError } from "./drop-in-error.ts"

export type PeerCheck = (peer: AuthenticatedPeer) => boolean | Promise<boolean>

export interface RoomRequest {
  readonly topic: string
  readonly secret?: string
  readonly identity?: Identity
  /** What makes the connections: pools of one topic share a room only if this is the same. */
  readonly via: string | object
  readonly transport: () => Transport
  readonly isPeerValid: PeerCheck | null
  readonly onDiagnostic: (diagnostic: Diagnostic) => void
  /** Gives up while the room opens; the room then closes unless another pool waits for it. */
  readonly signal: AbortSignal
}

/** A pool's part in a room. */
export interface RoomShare {
  readonly room: Room
  /** Leaves the room, and closes it when no other pool uses it. */
  leave(): Promise<void>
}

interface SharedRoom {
  readonly via: string | object
  readonly topic: string
  readonly secret: string | undefined
  readonly room: Promise<Room>
  /** Ends the room, also while it opens. */
  readonly closing: AbortController
  readonly checks: Set<PeerCheck>
  readonly listeners: Set<(diagnostic: Diagnostic) => void>
  users: number
}

interface DatabaseRooms {
  readonly rooms: Set<SharedRoom>
  /** Pools look for rooms one after the other: otherwise, two of them could open the same one. */
  tail: Promise<unknown>
}

const ANSWER_LIMIT_MS = 10_000

const roomsByDatabase = new WeakMap<RxDatabase, DatabaseRooms>()

/**
 * One room for each database, topic and way to connect, with one connection per peer, whatever the collections. Rejects
 * with the signal's reason.
 */
export async function joinSharedRoom(database: RxDatabase, request: RoomRequest): Promise<RoomShare> {
  const known = roomsByDatabase.get(database) ?? { rooms: new Set(), tail: Promise.resolve() }
  roomsByDatabase.set(database, known)
  const { rooms } = known
  const choosing = known.tail.then(async () => {
    const fitting = await findRoom(rooms, request)
    request.signal.throwIfAborted()
    // Its last pool may have left since it was found.
    const found = fitting !== null && rooms.has(fitting) ? fitting : openShared(rooms, request)
    found.users++
    return found
  })
  known.tail = choosing.catch(() => undefined)
  const shared = await unlessAborted(choosing, request.signal).catch((error: unknown) => {
    // The room may have been chosen at this very moment.
    choosing.then((chosen) => leaveRoom(rooms, chosen)).catch(() => undefined)
    throw error
  })
  shared.listeners.add(request.onDiagnostic)
  if (request.isPeerValid !== null) shared.checks.add(request.isPeerValid)

  let left: Promise<void> | null = null
  const leave = (): Promise<void> => {
    left ??= (async () => {
      shared.listeners.delete(request.onDiagnostic)
      if (request.isPeerValid !== null) shared.checks.delete(request.isPeerValid)
      await leaveRoom(rooms, shared)
    })()
    return left
  }
  try {
    return { room: await unlessAborted(shared.room, request.signal), leave }
  } catch (error) {
    // A caller that gave up gets its own reason; a room that did not open has nothing to close.
    await leave().catch(() => undefined)
    throw error
  }
}

async function leaveRoom(rooms: Set<SharedRoom>, shared: SharedRoom): Promise<void> {
  shared.users--
  if (shared.users > 0) return
  rooms.delete(shared)
  shared.closing.abort(new DropInError("canceled", "The replication was canceled."))
  const room = await shared.room.catch(() => null)
  await room?.close()
}

/** Finds a room that has no peers whom this pool keeps out. */
async function findRoom(rooms: ReadonlySet<SharedRoom>, request: RoomRequest): Promise<SharedRoom | null> {
  for (const shared of rooms) {
    if (shared.via !== request.via || shared.topic !== request.topic || shared.secret !== request.secret)
      continue
    if (request.isPeerValid === null) return shared
    const room = await withinTime(
      shared.room.catch(() => null),
      null,
    )
    if (room === null) continue
    const peers = room.peers.get()
    const verdicts = await withinTime(
      // A check that fails keeps its peer out, and reports this in the room that its pool then gets.
      Promise.all(peers.map(async (peer) => request.isPeerValid?.(peer))).catch(() => [false]),
      [false],
    )
    if (verdicts.every((verdict) => verdict === true) && rooms.has(shared)) return shared
  }
  return null
}

/** Pools look for rooms one after the other: a check or an identity that never answers must not hold them all up. */
async function withinTime<T>(work: Promise<T>, otherwise: T): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), ANSWER_LIMIT_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

function openShared(rooms: Set<SharedRoom>, request: RoomRequest): SharedRoom {
  const checks = new Set<PeerCheck>()
  const listeners = new Set<(diagnostic: Diagnostic) => void>()
  const { topic, secret, identity } = request
  const closing = new AbortController()
  const room = openRoom({
    invite: topicInvite(topic, secret === undefined ? {} : { secret }),
    transports: [request.transport()],
    signal: closing.signal,
    ...(identity === undefined ? {} : { identity }),
    isPeerValid: async (peer) => {
      for (const check of checks) if (!(await check(peer))) return false
      return true
    },
    onDiagnostic: (diagnostic) => {
      for (const listener of listeners) listener(diagnostic)
    },
  })
  const shared: SharedRoom = { via: request.via, topic, secret, room, closing, checks, listeners, users: 0 }
  rooms.add(shared)
  room.catch(() => rooms.delete(shared))
  return shared
}
