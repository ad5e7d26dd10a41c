import type { Clock } from "../ports/clock.ts"
import { ReplicaError } from "../ports/replica.ts"
import type { KeyedDigest } from "../protocol/keyed-digest.ts"
import type { Holding } from "../protocol/frame.ts"
import { MAX_ITEMS } from "../protocol/limits.ts"
import { mapKey } from "../protocol/map-key.ts"
import type { LinkReplica } from "./link-replica-api.ts"
import type { LinkSession } from "./link-session-api.ts"
import { RoomError } from "./room.ts"
import type { RoomReplica } from "./room-replica.ts"
import type { DeviceHolding } from "./synced-questions.ts"

export interface SyncedWait {
  readonly replica?: string
  readonly keys?: readonly string[]
  readonly peers?: number | undefined
  /** The one peer that counts. */
  readonly session?: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Promises that resolve when what was written before the call is durable on other devices. Another session of this device,
 * such as the tab that has the connections, does not count: once it holds everything, it is asked which other devices do.
 */
export interface SyncedWaits {
  add(wait: SyncedWait): Promise<void>
  /** Tells another session of this device how others stand to what is here now, at once and whenever that changes. */
  answer(query: SyncedQuery): void
  /** The replica has left the room: all waits that include it fail. */
  withdrawn(replica: RoomReplica): void
  /** Something was confirmed, or a link came or went. Does nothing while there are more than `most` waits. */
  check(most?: number): void
}

export interface SyncedQuery {
  readonly replicas: readonly RoomReplica[]
  /** Only these entries; if empty, all. */
  readonly positions: readonly Uint8Array[]
  /** Ends with the link, and when the question is taken back. */
  readonly signal: AbortSignal
  readonly tell: (holdings: readonly DeviceHolding[]) => void
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
  /** What another session of this device says; it is asked once, and again when a replica is announced again. Null: not yet known. */
  readonly ask: (session: LinkSession) => readonly DeviceHolding[] | null
  /** Another session of this device waits: no other one is asked on its behalf, or they would ask each other for ever. */
  readonly tell: ((holdings: readonly DeviceHolding[]) => void) | undefined
  readonly conclude: (outcome: SyncedOutcome) => void
  readonly fail: (cause: unknown) => void
}

type SyncedOutcome = Exclude<Holding, "pending">

interface Standing {
  readonly others: readonly DeviceHolding[]
  /** How many other devices have one of these holdings; a device counts once, however many of its tabs are linked. */
  readonly devices: (...holdings: readonly Holding[]) => number
  /** Another session of this device has yet to say which devices it knows. */
  readonly isIncomplete: boolean
}

interface Inquiry {
  readonly replicas: readonly LinkReplica[]
  readonly takeBack: () => void
  holdings: readonly DeviceHolding[] | null
}

/** Without a signal nobody waits longer than this for peers that do not come. */
const NO_PEERS_LIMIT_MS = 30_000

const MESSAGES: Readonly<Record<Exclude<SyncedOutcome, "synced">, string>> = {
  "no-peers": "For 30 s too few devices with this data were connected. Changes are kept.",
  refused: 'Other devices refused entries: the diagnostics "refused" say why.',
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
    // Nothing written here travels to anyone from a replica that only receives, so there is nothing to wait for.
    const isSender = shared.replica.direction !== "receive-only"
    if (!send && wait.session === undefined && (wait.tell || isSender)) return "no-peers"
    if (own.phase !== "live" || !own.compared) return "pending"
    if (!send) return "synced"
    if (own.owed.includes(wait.positions)) return "pending"
    const { unconfirmed } = own.feed
    const upTo = wait.changesByLink.get(own) ?? unconfirmed.changes
    wait.changesByLink.set(own, upTo)
    if (!unconfirmed.confirmedUpTo(upTo, wait.positions)) return "pending"
    return unconfirmed.refusedUpTo(upTo, wait.positions) ? "refused" : "synced"
  }

  const standingOf = (wait: OpenWait): Standing => {
    const others: DeviceHolding[] = []
    let isIncomplete = false
    for (const session of options.sessions()) {
      const { device } = session.link
      const kin = device === options.device && wait.session === undefined
      if (kin && wait.tell) continue
      const holding = holdingOf(session, wait)
      // What one's own session refuses does not get past it: nobody has to wait 30 s for whoever is behind it.
      if (!kin || holding === "refused") others.push({ device, holding })
      else if (holding !== "no-peers") {
        // Only a session that holds everything can say who else does.
        const asked = holding === "synced" && wait.ask(session)
        if (asked) others.push(...asked)
        else isIncomplete = true
      }
    }
    return {
      others,
      isIncomplete,
      devices: (...holdings) =>
        new Set(others.flatMap((one) => (holdings.includes(one.holding) ? one.device : []))).size,
    }
  }

  const checkOne = (wait: OpenWait): void => {
    const { others, devices, isIncomplete } = standingOf(wait)
    if (wait.tell) wait.tell(others)
    else if (devices("synced") >= wait.peers) wait.conclude("synced")
    else if (!isIncomplete && devices("pending") === 0 && devices("synced", "refused") >= wait.peers)
      wait.conclude("refused")
  }

  /** Concludes after 30 s in a row with too few peers, unless a session of this device may know more of them. */
  const giveUp = (wait: OpenWait): (() => void) => {
    const stepMs = 1_000
    let aloneMs = 0
    const tick = (): void => {
      const { devices, isIncomplete } = standingOf(wait)
      aloneMs = devices("pending", "refused", "synced") < wait.peers ? aloneMs + stepMs : 0
      if (aloneMs >= NO_PEERS_LIMIT_MS && !isIncomplete) return wait.conclude("no-peers")
      cancel = options.clock.after(stepMs, tick)
    }
    let cancel = options.clock.after(stepMs, tick)
    return () => cancel()
  }

  const begin = (
    replicas: readonly RoomReplica[],
    positions: readonly Uint8Array[] | undefined,
    { peers = 1, session, signal }: SyncedWait,
    tell?: SyncedQuery["tell"],
  ): Promise<SyncedOutcome> =>
    new Promise((resolve, reject) => {
      const cleanups: (() => void)[] = []
      const inquiries = new Map<LinkSession, Inquiry>()
      let isOver = false
      const end = (finish: () => void): void => {
        isOver = true
        waits.delete(wait)
        for (const cleanup of cleanups) cleanup()
        for (const { takeBack } of inquiries.values()) takeBack()
        finish()
      }
      const fail = (cause: unknown): void => end(() => reject(cause))
      // If there are more than one message takes, the question is about all entries.
      const asked = positions && positions.length <= MAX_ITEMS / 2 ? positions : []
      const wait: OpenWait = {
        peers,
        session,
        replicas,
        positions: positions && new Set(positions.map(mapKey)),
        changesByLink: new WeakMap(),
        ask(kin) {
          for (const [former, inquiry] of inquiries) {
            if (inquiry.replicas.some(({ closed }) => closed) && inquiries.delete(former)) inquiry.takeBack()
          }
          const known = inquiries.get(kin)
          if (known !== undefined) return known.holdings
          const sending = replicas
            .flatMap(({ shared }) => kin.targets.get(shared.replica.name)?.own ?? [])
            .filter(({ permissions }) => permissions.send)
          const slots = sending.map(({ shared }) => shared.slot)
          const takeBack = kin.questions.ask({ slots, positions: asked }, (holdings) => {
            inquiry.holdings = holdings
          })
          // If too many questions are open, it is asked again once one of them is over.
          if (takeBack === null) return null
          const inquiry: Inquiry = { replicas: sending, takeBack, holdings: null }
          inquiries.set(kin, inquiry)
          return null
        },
        tell,
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
        const gone = replicas.find((replica) => !here.includes(replica))
        if (gone !== undefined) return fail(goneError(gone))
        waits.add(wait)
        if (signal === undefined) cleanups.push(giveUp(wait))
        options.probe()
        checkOne(wait)
      }
      // What another session waits for came from that session, and was passed on when it was joined.
      if (tell) start()
      else Promise.all(replicas.map(({ shared }) => shared.flush())).then(start, fail)
    })

  return {
    async add(wait) {
      if (!((wait.peers ?? 1) >= 0)) throw new RoomError("invalid-option", "peers must be 0 or more.")
      const { replica, keys } = wait
      const replicas = [...options.replicas()].filter(
        ({ shared }) => replica === undefined || shared.replica.name === replica,
      )
      const attached = replicas.map(({ shared }) => shared.attached)
      const unblocked = (): string => attached.map((one) => one.unblocked?.()).join()
      let before: string
      do {
        before = unblocked()
        const outcome = await begin(replicas, keys?.map(options.digests.position), wait)
        if (outcome !== "synced") throw new RoomError(outcome, MESSAGES[outcome])
        for (const one of attached) one.assertShared?.(wait)
        // What can be shared since may have been reported after the changes that were waited for.
      } while (unblocked() !== before)
    },
    answer({ replicas, positions, signal, tell }) {
      let told = ""
      const tellNews: typeof tell = (holdings) => {
        const news = JSON.stringify(holdings)
        if (news !== told) tell(holdings)
        told = news
      }
      begin(replicas, positions[0] && positions, { signal }, tellNews).catch(() => {
        // The link or the room is closed, or the question was taken back: nobody waits for an answer.
      })
    },
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
