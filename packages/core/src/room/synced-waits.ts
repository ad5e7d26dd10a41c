import type { Clock } from "../ports/clock.ts"
import { ReplicaError } from "../ports/replica.ts"
import type { KeyedDigest } from "../protocol/keyed-digest.ts"
import type { SyncedOutcome, SyncedWantFrame } from "../protocol/frame.ts"
import { MAX_ITEMS } from "../protocol/limits.ts"
import { mapKey } from "../protocol/map-key.ts"
import type { LinkReplica } from "./link-replica-api.ts"
import type { LinkSession } from "./link-session-api.ts"
import { RoomError } from "./room.ts"
import type { RoomReplica } from "./room-replica.ts"

export interface SyncedWait {
  readonly replica?: string
  readonly keys?: readonly string[]
  readonly peers?: number
  /** The one peer that counts. */
  readonly session?: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Promises that resolve when what was written before the call is durable on other devices. Another session of this device,
 * such as the tab that has the connections, does not count: once it holds everything, it is asked when other devices do.
 */
export interface SyncedWaits {
  add(wait: SyncedWait): Promise<void>
  /** Waits on behalf of another session of this device. Rejects when the room closes, and with the signal's reason. */
  answer(frame: SyncedWantFrame, replica: string, signal: AbortSignal): Promise<SyncedOutcome>
  /** The replica has left the room: all waits that include it fail. */
  withdrawn(replica: RoomReplica): void
  /** Something was confirmed, or a link came or went. Does nothing while there are more than `most` waits. */
  check(most?: number): void
}

export interface SyncedWaitsOptions {
  readonly clock: Clock
  readonly sessions: () => Iterable<LinkSession>
  readonly replicas: () => Iterable<RoomReplica>
  readonly digests: KeyedDigest
  /** Public key of this device, 64 hex digits. */
  readonly device: string
  readonly closing: AbortSignal
  /** Asks those peers that something is owed to how far they are. */
  readonly probe: () => void
}

interface OpenWait {
  readonly peers: number
  readonly session: string | undefined
  readonly replicas: readonly RoomReplica[]
  readonly positions: ReadonlySet<string> | undefined
  /** The changes that a link must confirm: those up to when it was first seen to have compared everything else. */
  readonly changesByLink: WeakMap<LinkReplica, number>
  /** What another session of this device says about a replica; it is asked once, and again when it announces the replica again. */
  readonly ask: (session: LinkSession, own: LinkReplica) => Holding
  /** Such a session waits: no other one is asked on its behalf, or they would ask each other for ever. */
  readonly onBehalf: boolean
  readonly conclude: (outcome: SyncedOutcome) => void
  readonly fail: (cause: unknown) => void
}

/**
 * How a peer stands to the entries waited for; for a session of this device, how its peers do. "no-peers": none is expected
 * to take them.
 */
type Holding = SyncedOutcome | "pending"

interface Standing {
  /** How many other devices have one of these holdings; a device counts once, however many of its tabs are linked. */
  readonly devices: (...holdings: readonly Holding[]) => number
  /** What other sessions of this device say about other devices. */
  readonly kin: readonly Holding[]
}

interface Inquiry {
  holding: Holding
  takeBack: (() => void) | null
}

/** Without a signal nobody waits longer than this for peers that do not come. */
const NO_PEERS_LIMIT_MS = 30_000

/** `peers` may be any number, even Infinity; a question names at most this many devices. */
const MAX_DEVICES = 65_535

const MESSAGES: Readonly<Record<Exclude<SyncedOutcome, "synced">, string>> = {
  "no-peers": "For 30 s too few other devices with this data were connected. Changes are kept for them.",
  refused: 'Other devices refused some entries, which stay on this one. The diagnostics "refused" say why.',
}

export function createSyncedWaits(options: SyncedWaitsOptions): SyncedWaits {
  const waits = new Set<OpenWait>()
  const endingsBySignal = new Map<EventTarget | null, Set<() => void>>()
  /** One listener for each signal: platforms warn of a leak when one signal has more than ten. */
  const abortAll = ({ target }: Event): void => endingsBySignal.get(target)?.forEach((abort) => abort())
  const onAbort = (signal: AbortSignal, abort: () => void): (() => void) => {
    const endings = endingsBySignal.get(signal) ?? new Set()
    endingsBySignal.set(signal, endings.add(abort))
    signal.addEventListener("abort", abortAll)
    return () => {
      if (!endings.delete(abort) || endings.size > 0) return
      endingsBySignal.delete(signal)
      signal.removeEventListener("abort", abortAll)
    }
  }

  const isKin = ({ link }: LinkSession, wait: OpenWait): boolean =>
    link.device === options.device && wait.session === undefined

  const holdingOf = (session: LinkSession, wait: OpenWait): Holding => {
    if (wait.session !== undefined && wait.session !== session.session) return "no-peers"
    const holdings = wait.replicas.map((replica) => holdingOfReplica(session, replica, wait))
    return (["no-peers", "pending", "refused"] as const).find((one) => holdings.includes(one)) ?? "synced"
  }

  const holdingOfReplica = (session: LinkSession, replica: RoomReplica, wait: OpenWait): Holding => {
    const { shared } = replica
    const own = session.targets.get(shared.replica.name)?.own
    if (own === undefined) return "no-peers"
    const { send } = own.permissions
    if (!send && wait.session === undefined && (wait.onBehalf || !sendsNothing(replica))) return "no-peers"
    if (own.phase !== "live" || !own.compared) return "pending"
    if (!send) return "synced"
    if (own.owed.includes(wait.positions)) return "pending"
    const { unconfirmed } = own.feed
    const upTo = wait.changesByLink.get(own) ?? unconfirmed.changes
    wait.changesByLink.set(own, upTo)
    if (!unconfirmed.confirmedUpTo(upTo, wait.positions)) return "pending"
    const isRefused = unconfirmed.refusedUpTo(upTo, wait.positions)
    if (isKin(session, wait)) return isRefused ? "no-peers" : wait.ask(session, own)
    return isRefused ? "refused" : "synced"
  }

  const standingOf = (wait: OpenWait): Standing => {
    const others: { readonly device: string; readonly holding: Holding }[] = []
    const kin: Holding[] = []
    for (const session of options.sessions()) {
      if (!isKin(session, wait))
        others.push({ device: session.link.device, holding: holdingOf(session, wait) })
      else if (!wait.onBehalf) kin.push(holdingOf(session, wait))
    }
    return {
      kin,
      devices: (...holdings) =>
        new Set(others.flatMap((one) => (holdings.includes(one.holding) ? one.device : []))).size,
    }
  }

  const checkOne = (wait: OpenWait): void => {
    const { devices, kin } = standingOf(wait)
    if (devices("synced") >= wait.peers || kin.includes("synced")) wait.conclude("synced")
    else if (
      devices("pending") === 0 &&
      (devices("synced", "refused") >= wait.peers || kin.includes("refused"))
    )
      wait.conclude("refused")
  }

  /** Concludes after 30 s in a row with too few peers, unless a session of this device may know more of them. */
  const giveUp = (wait: OpenWait): (() => void) => {
    const stepMs = 1_000
    let aloneMs = 0
    const tick = (): void => {
      const { devices, kin } = standingOf(wait)
      aloneMs = devices("pending", "refused", "synced") < wait.peers ? aloneMs + stepMs : 0
      if (aloneMs >= NO_PEERS_LIMIT_MS && kin.every((holding) => holding === "no-peers"))
        return wait.conclude("no-peers")
      cancel = options.clock.after(stepMs, tick)
    }
    let cancel = options.clock.after(stepMs, tick)
    return () => cancel()
  }

  const begin = (given: SyncedWait, behalf?: SyncedWantFrame): Promise<SyncedOutcome> =>
    new Promise((resolve, reject) => {
      const { replica, keys, peers = 1, session, signal } = given
      const isPatient = behalf?.patient ?? signal !== undefined
      const cleanups: (() => void)[] = []
      const inquiries = new Map<LinkReplica, Inquiry>()
      let isOver = false
      const end = (finish: () => void): void => {
        isOver = true
        waits.delete(wait)
        for (const cleanup of cleanups) cleanup()
        for (const { takeBack } of inquiries.values()) takeBack?.()
        finish()
      }
      const fail = (cause: unknown): void => end(() => reject(cause))
      const positions = behalf?.positions[0] ? behalf.positions : keys?.map(options.digests.position)
      // If there are more than one message takes, the question is about all entries.
      const asked = positions && positions.length <= MAX_ITEMS / 2 ? positions : []
      const wait: OpenWait = {
        peers,
        session,
        replicas: [...options.replicas()].filter(
          ({ shared }) => replica === undefined || shared.replica.name === replica,
        ),
        positions: positions && new Set(positions.map(mapKey)),
        changesByLink: new WeakMap(),
        onBehalf: behalf !== undefined,
        ask({ questions }, own) {
          for (const [former, { takeBack }] of inquiries) {
            if (former.closed && inquiries.delete(former)) takeBack?.()
          }
          const known = inquiries.get(own)
          if (known !== undefined) return known.holding
          const inquiry: Inquiry = { holding: "pending", takeBack: null }
          const inquire = (patient: boolean): void => {
            const question = {
              devices: Math.min(Math.ceil(peers), MAX_DEVICES),
              slot: own.shared.slot,
              patient,
              positions: asked,
            }
            inquiry.takeBack = questions.ask(question, (outcome) => {
              inquiry.holding = outcome
              // That session may yet learn of more devices while this one waits.
              if (outcome === "no-peers") inquire(true)
            })
          }
          inquire(isPatient)
          // If too many questions are open, it is asked again once one of them is answered.
          if (inquiry.takeBack !== null) inquiries.set(own, inquiry)
          return "pending"
        },
        conclude: (outcome) => end(() => resolve(outcome)),
        fail,
      }
      for (const ending of [options.closing, signal]) {
        if (ending === undefined) continue
        const abort = (): void => fail(ending.reason)
        if (ending.aborted) return abort()
        cleanups.push(onAbort(ending, abort))
      }
      const start = (): void => {
        if (isOver) return
        // A replica may have left while it was flushed.
        const here = [...options.replicas()]
        const gone = wait.replicas.find((replica) => !here.includes(replica))
        if (gone !== undefined) return fail(goneError(gone))
        waits.add(wait)
        if (!isPatient) cleanups.push(giveUp(wait))
        options.probe()
        checkOne(wait)
      }
      // What another session waits for came from that session, and was passed on when it was joined.
      if (wait.onBehalf) start()
      else Promise.all(wait.replicas.map(({ shared }) => shared.flush())).then(start, fail)
    })

  return {
    async add(wait) {
      if (!((wait.peers ?? 1) >= 0)) throw new RoomError("invalid-option", "peers must be 0 or more.")
      const outcome = await begin(wait)
      if (outcome !== "synced") throw new RoomError(outcome, MESSAGES[outcome])
    },
    answer: (frame, replica, signal) => begin({ replica, peers: frame.devices, signal }, frame),
    withdrawn(replica) {
      for (const { replicas, fail } of waits) if (replicas.includes(replica)) fail(goneError(replica))
    },
    check(most = Infinity) {
      if (waits.size <= most) waits.forEach(checkOne)
    },
  }
}

function goneError({ shared }: RoomReplica): ReplicaError {
  return new ReplicaError("replica-closed", `The replica "${shared.replica.name}" was closed.`)
}

/** Nothing written here travels to anyone, so there is nothing to wait for. */
function sendsNothing({ shared }: RoomReplica): boolean {
  return shared.replica.direction === "receive-only"
}
