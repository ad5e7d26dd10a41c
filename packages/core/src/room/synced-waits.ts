import type { Clock } from "../ports/clock.ts"
import type { KeyedDigest } from "../protocol/keyed-digest.ts"
import type { SyncedOutcome, SyncedWantFrame } from "../protocol/frame.ts"
import { mapKey } from "../protocol/map-key.ts"
import type { LinkReplica } from "./link-replica-api.ts"
import type { LinkSession } from "./link-session-api.ts"
import { RoomError } from "./room.ts"
import type { RoomReplica } from "./room-replica.ts"

export interface SyncedWait {
  readonly replica?: string | undefined
  readonly keys?: readonly string[]
  readonly peers?: number
  /** The one peer that counts. */
  readonly session?: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Promises that resolve when what was written before the call is durable at other devices. Another session of this device,
 * such as the tab that has the connections, does not count: once it holds everything it is asked when others do.
 */
export interface SyncedWaits {
  add(wait: SyncedWait): Promise<void>
  /** Waits for another session of this device. Rejects when the room closes and with the signal's reason. */
  answer(frame: SyncedWantFrame, replica: string | undefined, signal: AbortSignal): Promise<SyncedOutcome>
  /** Something was confirmed, or a link came or went. */
  check(): void
}

export interface SyncedWaitsOptions {
  readonly clock: Clock
  readonly sessions: () => Iterable<LinkSession>
  readonly replicas: () => Iterable<RoomReplica>
  readonly digests: KeyedDigest
  /** This one, 64 hex digits. */
  readonly device: string
  readonly closing: AbortSignal
  /** Asks the peers that something is owed to how far they are. */
  readonly probe: () => void
}

interface WaitRequest extends SyncedWait {
  /** Too few other devices are no answer, however long. */
  readonly patient: boolean
  /** Another session of this device waits: none of them is asked, or they would ask each other for ever. */
  readonly onBehalf: boolean
}

interface OpenWait {
  readonly peers: number
  readonly session: string | undefined
  readonly replicas: readonly RoomReplica[]
  readonly positions: ReadonlySet<string> | undefined
  /** What a link must confirm: the changes there were when it was first seen to have compared everything else. */
  readonly changesByLink: WeakMap<LinkReplica, number>
  /** Asks a session of this device, once. */
  readonly ask: (session: LinkSession) => void
  readonly onBehalf: boolean
  readonly conclude: (outcome: SyncedOutcome) => void
}

/** What a peer has of the entries that are waited for; "none" where it is not expected to have any. */
type Holding = "none" | "all" | "refused" | "pending"

/** Without a signal nobody waits longer than this for peers that do not come. */
const NO_PEERS_LIMIT_MS = 30_000

const MESSAGES: Readonly<Record<Exclude<SyncedOutcome, "synced">, string>> = {
  "no-peers": "Too few other devices with this data for 30 s. Changes wait for them.",
  refused: 'Other devices refused entries, which stay on this one. "refused" in the diagnostics says why.',
}

export function createSyncedWaits(options: SyncedWaitsOptions): SyncedWaits {
  const waits = new Set<OpenWait>()
  /** One listener for all: platforms warn of a leak when one signal has more than ten. */
  const endings = new Set<() => void>()
  options.closing.addEventListener("abort", () => [...endings].forEach((abort) => abort()), { once: true })

  const holdingOf = (session: LinkSession, wait: OpenWait): Holding => {
    if (wait.session !== undefined && wait.session !== session.session) return "none"
    const holdings = wait.replicas.map((replica) => holdingOfReplica(session, replica, wait))
    return (["none", "pending", "refused"] as const).find((one) => holdings.includes(one)) ?? "all"
  }

  const holdingOfReplica = (session: LinkSession, replica: RoomReplica, wait: OpenWait): Holding => {
    const { shared } = replica
    const own = session.targets.get(shared.replica.name)?.own
    if (own === undefined) return "none"
    const { send } = own.permissions
    if (!send && wait.session === undefined && !sendsNothing(replica)) return "none"
    if (own.phase !== "live" || !own.compared) return "pending"
    if (!send) return "all"
    if (own.owed.includes(wait.positions)) return "pending"
    const { unconfirmed } = own.feed
    const upTo = wait.changesByLink.get(own) ?? unconfirmed.changes
    wait.changesByLink.set(own, upTo)
    if (!unconfirmed.confirmedUpTo(upTo, wait.positions)) return "pending"
    return unconfirmed.refusedUpTo(upTo, wait.positions) ? "refused" : "all"
  }

  const check = (): void => {
    for (const wait of waits) {
      const sessions: { readonly device: string; readonly holding: Holding }[] = []
      for (const session of options.sessions()) {
        const { device } = session.link
        const holding = holdingOf(session, wait)
        if (device !== options.device || wait.session !== undefined) sessions.push({ device, holding })
        else if (holding === "all" && !wait.onBehalf) wait.ask(session)
      }
      /** A device counts once, however many tabs of it are linked. */
      const devices = (holdings: readonly Holding[]): number =>
        new Set(sessions.flatMap((one) => (holdings.includes(one.holding) ? one.device : []))).size
      if (devices(["all"]) >= wait.peers) wait.conclude("synced")
      else if (devices(["pending"]) === 0 && devices(["all", "refused"]) >= wait.peers)
        wait.conclude("refused")
    }
  }

  const begin = (request: WaitRequest): Promise<SyncedOutcome> =>
    new Promise((resolve, reject) => {
      const { replica, keys, peers = 1, session, signal, patient, onBehalf } = request
      const cleanups: (() => void)[] = []
      const asked = new WeakSet<LinkSession>()
      let ended = false
      const end = (finish: () => void): void => {
        ended = true
        waits.delete(wait)
        for (const cleanup of cleanups) cleanup()
        finish()
      }
      const fail = (cause: unknown): void => end(() => reject(cause))
      const conclude = (outcome: SyncedOutcome): void => end(() => resolve(outcome))
      const wait: OpenWait = {
        peers,
        session,
        replicas: [...options.replicas()].filter(
          ({ shared }) => replica === undefined || shared.replica.name === replica,
        ),
        positions: keys && new Set(keys.map((key) => mapKey(options.digests.position(key)))),
        changesByLink: new WeakMap(),
        onBehalf,
        ask(other) {
          if (asked.has(other)) return
          const slot = replica === undefined ? null : (wait.replicas[0]?.shared.slot ?? null)
          if (other.questions.ask({ devices: peers, slot, patient }, conclude)) asked.add(other)
        },
        conclude,
      }
      const close = (): void => fail(options.closing.reason)
      endings.add(close)
      cleanups.push(() => endings.delete(close))
      if (options.closing.aborted) return close()
      if (!patient) {
        const enough = (): boolean => enoughPeers(wait, options)
        cleanups.push(giveUp(options.clock, enough, () => conclude("no-peers")))
      }
      if (signal !== undefined) {
        const abort = (): void => fail(signal.reason)
        signal.addEventListener("abort", abort, { once: true })
        cleanups.push(() => signal.removeEventListener("abort", abort))
        if (signal.aborted) return abort()
      }
      const start = (): void => {
        if (ended) return
        waits.add(wait)
        options.probe()
        check()
      }
      Promise.all(wait.replicas.map(({ shared }) => shared.flush())).then(start, fail)
    })

  return {
    async add(wait) {
      const outcome = await begin({ ...wait, patient: wait.signal !== undefined, onBehalf: false })
      if (outcome !== "synced") throw new RoomError(outcome, MESSAGES[outcome])
    },
    answer: ({ devices, patient }, replica, signal) =>
      begin({ replica, peers: devices, signal, patient, onBehalf: true }),
    check,
  }
}

/** Nothing that was written here travels, to whomever: there is nothing to wait for. */
function sendsNothing({ shared }: RoomReplica): boolean {
  return shared.replica.direction === "receive-only"
}

/** Only who takes the data counts: an incompatible peer, and one that only sends, will never hold it. */
function enoughPeers(wait: OpenWait, { sessions, device }: SyncedWaitsOptions): boolean {
  const sharing = [...sessions()].filter(({ targets }) =>
    wait.replicas.every((replica) => {
      const own = targets.get(replica.shared.replica.name)?.own
      return own !== undefined && (own.permissions.send || sendsNothing(replica))
    }),
  )
  const devices = new Set(sharing.map(({ link }) => link.device))
  // A session of this device says by itself that it knows too few others.
  return (devices.delete(device) && !wait.onBehalf) || devices.size >= wait.peers
}

/** Calls back after 30 s in a row with too few peers. */
function giveUp(clock: Clock, enough: () => boolean, give: () => void): () => void {
  const stepMs = 1_000
  let aloneMs = 0
  const tick = (): void => {
    aloneMs = enough() ? 0 : aloneMs + stepMs
    if (aloneMs >= NO_PEERS_LIMIT_MS) return give()
    cancel = clock.after(stepMs, tick)
  }
  let cancel = clock.after(stepMs, tick)
  return () => cancel()
}
