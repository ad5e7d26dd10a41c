import type { Clock } from "../ports/clock.ts"
import { mapKey } from "../protocol/bytes-equal.ts"
import type { KeyedDigest } from "../protocol/keyed-digest.ts"
import type { LinkSession } from "./link-session.ts"
import { RoomError } from "./room.ts"
import type { RoomReplica } from "./room-replica.ts"

export interface SyncedWait {
  readonly replica?: string
  readonly keys?: readonly string[]
  readonly peers?: number
  readonly signal?: AbortSignal
}

/** Promises that resolve when what was known at the call is durable elsewhere. */
export interface SyncedWaits {
  add(wait: SyncedWait): Promise<void>
  /** Something was confirmed, or a link came or went. */
  check(): void
}

export interface SyncedWaitsOptions {
  readonly clock: Clock
  readonly sessions: () => Iterable<LinkSession>
  readonly replicas: () => Iterable<RoomReplica>
  readonly digests: KeyedDigest
  readonly closing: AbortSignal
}

interface OpenWait {
  readonly peers: number
  readonly replicas: readonly RoomReplica[]
  readonly positions: ReadonlySet<string> | undefined
  /** Change counts at the call, by session and replica name: older links must confirm up to there, newer ones all. */
  readonly changesByLink: ReadonlyMap<string, number>
  readonly settle: () => void
}

/** Without a signal nobody waits longer than this for peers that do not come. */
const NO_PEERS_LIMIT_MS = 30_000

export function createSyncedWaits(options: SyncedWaitsOptions): SyncedWaits {
  const waits = new Set<OpenWait>()

  /** A device counts once, however many tabs of it are linked. */
  const devicesWith = (wait: OpenWait): number => {
    const devices = new Set<string>()
    for (const session of options.sessions()) {
      if (wait.replicas.every((replica) => holdsAll(session, replica, wait))) devices.add(session.link.device)
    }
    return devices.size
  }

  const holdsAll = (session: LinkSession, { shared }: RoomReplica, wait: OpenWait): boolean => {
    const own = session.targets.get(shared.replica.name)?.own
    if (own === undefined || own.phase !== "live") return false
    if (!own.permissions.send) return true
    // A link made after the call has exchanged everything by the time it is live.
    const upTo =
      wait.changesByLink.get(`${session.session}/${shared.replica.name}`) ?? Number.POSITIVE_INFINITY
    return own.feed.unconfirmed.confirmedUpTo(upTo, wait.positions)
  }

  const check = (): void => {
    for (const wait of waits) if (devicesWith(wait) >= wait.peers) wait.settle()
  }

  return {
    add({ replica, keys, peers = 1, signal }) {
      return new Promise((resolve, reject) => {
        const cleanups: (() => void)[] = []
        const end = (finish: () => void): void => {
          waits.delete(wait)
          for (const cleanup of cleanups) cleanup()
          finish()
        }
        const wait: OpenWait = {
          peers,
          replicas: [...options.replicas()].filter(
            ({ shared }) => replica === undefined || shared.replica.name === replica,
          ),
          positions: keys && new Set(keys.map((key) => mapKey(options.digests.position(key)))),
          changesByLink: countChanges(options.sessions()),
          settle: () => end(resolve),
        }
        const rejectOn = (aborting: AbortSignal): void => {
          const abort = (): void => end(() => reject(aborting.reason))
          aborting.addEventListener("abort", abort, { once: true })
          cleanups.push(() => aborting.removeEventListener("abort", abort))
          if (aborting.aborted) abort()
        }
        waits.add(wait)
        rejectOn(options.closing)
        if (signal !== undefined) rejectOn(signal)
        else
          cleanups.push(
            giveUp(options.clock, () => enoughPeers(wait, options.sessions()), end, reject, peers),
          )
        if (waits.has(wait)) check()
      })
    },
    check,
  }
}

function countChanges(sessions: Iterable<LinkSession>): ReadonlyMap<string, number> {
  const changesByLink = new Map<string, number>()
  for (const session of sessions) {
    for (const [name, { own }] of session.targets) {
      if (own.phase === "live") changesByLink.set(`${session.session}/${name}`, own.feed.unconfirmed.changes)
    }
  }
  return changesByLink
}

/** Only who shares the data counts: an incompatible peer will never hold it. */
function enoughPeers(wait: OpenWait, sessions: Iterable<LinkSession>): boolean {
  const sharing = [...sessions].filter(({ targets }) =>
    wait.replicas.every(({ shared }) => targets.has(shared.replica.name)),
  )
  return new Set(sharing.map(({ link }) => link.device)).size >= wait.peers
}

/** Rejects after 30 s in a row with too few peers. */
function giveUp(
  clock: Clock,
  enough: () => boolean,
  end: (finish: () => void) => void,
  reject: (error: RoomError) => void,
  peers: number,
): () => void {
  const stepMs = 1_000
  let aloneMs = 0
  const tick = (): void => {
    aloneMs = enough() ? 0 : aloneMs + stepMs
    if (aloneMs >= NO_PEERS_LIMIT_MS) {
      const message = `Fewer than ${peers} other devices that share this data were connected for 30 s. Changes are kept and sent when they come.`
      end(() => reject(new RoomError("no-peers", message)))
      return
    }
    cancel = clock.after(stepMs, tick)
  }
  let cancel = clock.after(stepMs, tick)
  return () => cancel()
}
