import type { Replica, ReplicaHost, ReplicaLinkStatus } from "../ports/replica.ts"
import { createState, type MutableState } from "../ports/state.ts"
import { within } from "../ports/within.ts"
import type { PushFrame } from "../protocol/frame.ts"
import { createKeyedDigest } from "../protocol/keyed-digest.ts"
import { mapKey, mapKeyBytes } from "../protocol/map-key.ts"
import { startsWithBytes } from "../protocol/same-bytes.ts"
import { createWantedTable } from "../protocol/wanted-table.ts"
import { createLargeEntryGate } from "./large-entry-gate.ts"
import { createLinkSession } from "./link-session.ts"
import type { LinkSession } from "./link-session-api.ts"
import type { LinkReplica } from "./link-replica-api.ts"
import { createOpeningReplicas } from "./opening-replicas.ts"
import { createReconcileLease } from "./reconcile-lease.ts"
import { createPresenceLinks } from "./presence-links.ts"
import { createPurposeTimers } from "./purpose-timers.ts"
import { RoomError } from "./room.ts"
import type { RoomReplica } from "./room-replica.ts"
import { shareReplica, type Transition } from "./shared-replica.ts"
import type { LinkStatus, SecureLink, SyncEngine, SyncEngineOptions } from "./sync-engine-api.ts"
import { createSyncedWaits } from "./synced-waits.ts"

/** A replica of the room, with what only the engine keeps for it. */
interface EngineReplica extends RoomReplica {
  readonly links: MutableState<ReadonlyMap<string, ReplicaLinkStatus>>
}

/** The sender of a change tells the peers that it is linked to; a HAVE makes up for what got lost. */
const HAVE_DELAY_MS = 100
const WANTED_TICK_MS = 50
const STATUS_DELAY_MS = 50
const LINKS_DELAY_MS = 50
const FEW_WAITS = 64
const PROBE_DELAY_MS = 250
/** Longer than a full disk queue takes: whoever closes a room may close the database next. */
const DETACH_PATIENCE_MS = 30_000

/** The engine that rooms run, for simulators and for links made in other ways. It needs no transport: add links to it. */
export function createSyncEngine(options: SyncEngineOptions): SyncEngine {
  const { clock, random, events } = options
  const digests = createKeyedDigest(options.digestKey)
  const links = createState<ReadonlyMap<string, LinkStatus>>(new Map())
  const sessions = new Map<string, LinkSession>()
  const replicasByName = new Map<string, EngineReplica>()
  const timers = createPurposeTimers(clock)
  const closing = new AbortController()
  const opening = createOpeningReplicas({
    clock,
    closing: closing.signal,
    events,
    replicasByName,
  })
  /** The latest opening of each replica name, identified by its own `links` state. */
  const openedLast = new Map<string, EngineReplica["links"]>()
  let closed: Promise<void> | null = null
  /** How many entries were wanted when that was last looked at. */
  let wanted = 0
  /** Set before anything is closed, so that nothing that closing triggers starts anything. */
  let ending = false

  const presence = createPresenceLinks({ ...options, sessions, changed: events.presence })

  const gate = createLargeEntryGate(() => {
    for (const session of sessions.values()) session.retryLarge()
  })

  const publish = (): void => {
    links.set(new Map([...sessions].map(([id, session]) => [id, session.status()])))
    for (const replica of replicasByName.values()) {
      replica.links.set(new Map([...sessions].map(([id, session]) => [id, session.statusOf(replica)])))
    }
    waits.check()
  }
  const phaseChanged = (): void => {
    timers.start("status", 0, publish)
    waits.check()
  }
  const statusChanged = (): void => {
    timers.startOnce("status", STATUS_DELAY_MS, publish)
    // Checking very many waits costs more than what happened; `publish` checks them soon.
    waits.check(FEW_WAITS)
  }

  const targetsOf = ({ shared }: RoomReplica): readonly LinkReplica[] =>
    [...sessions.values()].flatMap(({ targets }) => targets.get(shared.replica.name)?.own ?? [])

  const tellAll = (say: (session: LinkSession) => void): void => {
    for (const session of sessions.values()) {
      say(session)
      session.flush()
    }
  }

  /** Asks live links for their roots, except where `holdsAll`. */
  const probe = (holdsAll: (own: LinkReplica) => boolean): void =>
    tellAll(({ targets }) => {
      for (const { own } of targets.values()) if (own.phase === "live" && !holdsAll(own)) own.probe()
    })

  /** A change made on this device: pushed to everyone. */
  const localChanges = (replica: EngineReplica, transitions: readonly Transition[]): void => {
    // A peer that gets the change answers with what it has; one that takes nothing from us still has to be asked.
    const answered = targetsOf(replica).every(({ permissions }) => permissions.send)
    for (const transition of transitions) {
      if (answered) replica.wanted.resolve(mapKey(transition.position))
      for (const session of sessions.values()) {
        const own = session.targets.get(replica.shared.replica.name)?.own
        if (own === undefined) continue
        // A link that was pruned in a large room carries changes again once the room is small.
        if (!isPartial(session)) own.feed.graft()
        own.push(transition)
      }
    }
    for (const session of sessions.values()) session.flush()
    statusChanged()
  }

  /**
   * Passes on a change that came from a peer. If that peer is linked to all others, the change is announced and not pushed;
   * otherwise it is pushed along the tree that pruning leaves.
   */
  const forward = (
    source: LinkSession,
    replica: RoomReplica,
    transition: Transition,
    push: PushFrame | null,
  ): void => {
    const { position, after } = transition
    if (after === null) return
    const partial = isPartial(source)
    for (const session of sessions.values()) {
      const target = session.targets.get(replica.shared.replica.name)?.own
      if (session === source || target === undefined) continue
      // A change that a reconciliation missed shows in the roots at its end, but roots of a one-way link are never compared.
      const { send, receive } = target.permissions
      if (target.phase !== "live" && send && receive) {
        target.owes(position)
        continue
      }
      if (!partial) {
        target.held.announce(position, HAVE_DELAY_MS * (1 + random.unit()))
        continue
      }
      target.push(
        push !== null && continues(transition, push) ? { ...transition, delta: push.delta } : transition,
      )
      session.flush()
    }
    statusChanged()
  }

  /** Whether the peer lacks a link to someone we are linked to. */
  const isPartial = (peer: LinkSession): boolean => peer.lacksAny(sessions.keys())

  const askWanted = (): void => {
    const now = clock.monotonic()
    let left = 0
    for (const replica of replicasByName.values()) {
      const positionsByLink = new Map<string, Uint8Array[]>()
      const heardAt = (link: string): number => sessions.get(link)?.payloadAt() ?? -Infinity
      const isFull = (link: string): boolean | undefined => sessions.get(link)?.isFull()
      for (const { position, link } of replica.wanted.due(now, heardAt, isFull)) {
        const positions = positionsByLink.get(link) ?? []
        positions.push(mapKeyBytes(position))
        positionsByLink.set(link, positions)
      }
      for (const [link, positions] of positionsByLink) {
        sessions.get(link)?.want(replica, positions)
        statusChanged()
      }
      left += replica.wanted.size
    }
    tellAll(({ targets }) => {
      for (const { own } of targets.values()) own.check()
    })
    if (left > 0) timers.startOnce("wanted", WANTED_TICK_MS, askWanted)
    // Not with every tick: an entry may take minutes to come.
    if (left !== wanted) statusChanged()
    wanted = left
  }

  const sendLinks = (): void => tellAll((session) => session.sendLinks())

  const dropSession = (session: LinkSession): void => {
    if (sessions.get(session.session) !== session) return
    sessions.delete(session.session)
    for (const replica of replicasByName.values()) {
      replica.wanted.dropLink(session.session, clock.monotonic())
      replica.lease.release(session.session)
    }
    presence.lost(session)
    timers.startOnce("links", LINKS_DELAY_MS, sendLinks)
    // The peer may have died between receiving a change and passing it on.
    timers.startOnce("probe", PROBE_DELAY_MS * (1 + random.unit()), () => probe(() => false))
    timers.startOnce("wanted", 0, askWanted)
    publish()
  }

  const waits = createSyncedWaits({
    clock,
    device: options.device,
    sessions: () => sessions.values(),
    replicas: () => replicasByName.values(),
    digests,
    closing: closing.signal,
    probe: () =>
      probe(({ compared, owed, feed }) => compared && !owed.includes() && feed.unconfirmed.size === 0),
  })

  const hostFor = (replica: Replica, replicaLinks: EngineReplica["links"]): Omit<ReplicaHost, "changed"> => ({
    roomTag: options.roomTag,
    device: options.device,
    report: (report) => events.replicaReport(replica.name, report),
    // A replica that could not take over may be closed after its name was given to another one.
    released: () => void (openedLast.get(replica.name) === replicaLinks && released(replica.name)),
    async synced(wait) {
      await opening.attached(replica.name)
      await waits.add({ ...wait, replica: replica.name })
    },
    links: replicaLinks,
  })

  const withdraw = async (name: string): Promise<void> => {
    const replica = replicasByName.get(name)
    if (replica === undefined) return
    replicasByName.delete(name)
    for (const session of sessions.values()) session.removed(replica)
    waits.withdrawn(replica)
    publish()
    const detached = replica.shared.close().then(
      () => null,
      (cause: unknown) => ({ cause }),
    )
    const failure = await within(clock, DETACH_PATIENCE_MS, detached, { cause: "it hangs" })
    if (failure !== null)
      events.replicaReport(name, { type: "warning", reason: "the replica could not be detached", ...failure })
  }

  const released = async (name: string): Promise<void> => {
    openedLast.delete(name)
    opening.released(name)
    await withdraw(name)
  }

  const replicate = <Handle>(replica: Replica<Handle>): Promise<Handle> => {
    const replicaLinks = createState<ReadonlyMap<string, ReplicaLinkStatus>>(new Map())
    return opening.open(replica, {
      share: (slot, attach) => {
        openedLast.set(replica.name, replicaLinks)
        return shareReplica({
          slot,
          replica,
          digests,
          clock,
          host: hostFor(replica, replicaLinks),
          onLocal: (transitions) => {
            const own = replicasByName.get(replica.name)
            if (own !== undefined) localChanges(own, transitions)
          },
          onBatch: () => {
            for (const session of sessions.values()) session.pump()
            statusChanged()
          },
          attach,
        })
      },
      add(shared) {
        const own: EngineReplica = {
          shared,
          wanted: createWantedTable((position, link) =>
            sessions.get(link)?.targets.get(replica.name)?.own.owes(mapKeyBytes(position)),
          ),
          lease: createReconcileLease(),
          links: replicaLinks,
        }
        replicasByName.set(replica.name, own)
        for (const session of sessions.values()) session.added(own)
        statusChanged()
      },
    })
  }

  return {
    links,
    counters: () => new Map([...sessions].map(([id, session]) => [id, session.counters()])),
    replicas: () => replicasByName.keys(),
    replicate,
    addLink(link) {
      if (ending) {
        link.close("the room was closed")
        return { message: () => {}, drained: () => {}, closed: () => {} }
      }
      sessions.get(link.session)?.bye("replaced by a newer link")
      return openSession(link)
    },
    setPresence: presence.set,
    async synced(wait = {}) {
      const asked = opening.standing().map((one) => one.synced(wait))
      // With no replica attached, a wait of our own adds nothing to what the standing replicas answer.
      if (asked.length === 0 || replicasByName.size > 0) asked.push(waits.add(wait))
      await Promise.all(asked)
    },
    close() {
      closed ??= (async () => {
        ending = true
        timers.close()
        presence.close()
        for (const session of [...sessions.values()]) session.bye("the room was closed")
        closing.abort(new RoomError("closed", "The room is closed. Open it again to go on."))
        await Promise.all([opening.close(), ...[...replicasByName.keys()].map(withdraw)])
      })()
      return closed
    },
  }

  function openSession(link: SecureLink): LinkSession {
    const session: LinkSession = createLinkSession({
      link,
      sessionId: options.sessionId,
      device: options.device,
      clock,
      random,
      gate,
      replicas: () => replicasByName.values(),
      linkedSessions: () => [...sessions.keys()],
      presence: presence.value,
      events: {
        joined: (replica, transition, push) => forward(session, replica, transition, push),
        wantedChanged: () => timers.startOnce("wanted", 0, askWanted),
        duplicate: ({ own }) => {
          // Only if another peer has a link that this one lacks, and so pushes this one's changes on to us.
          if ([...sessions.values()].some((other) => session.lacksAny(other.linkedTo()))) own.feed.prune()
        },
        presence: (value) => events.presence(link.session, value),
        presenceRelayed: (frame) => presence.relayed(session, frame),
        linksChanged: presence.linksChanged,
        statusChanged,
        phaseChanged,
        reconciled: (replica, report) =>
          events.reconciled({ session: link.session, replica: replica.shared.replica.name, ...report }),
        refused(replica, reason, by) {
          statusChanged()
          events.refused(link.session, replica.shared.replica.name, reason, by)
        },
        violation: (code, detail) => events.violation(link.session, code, detail),
        syncedWanted: (query) => waits.answer(query),
        closed: () => dropSession(session),
      },
    })
    sessions.set(link.session, session)
    presence.opened(session)
    timers.startOnce("links", LINKS_DELAY_MS, sendLinks)
    statusChanged()
    return session
  }
}

/** Whether our transition went from the push's "before" to its "after", so that the push's delta serves others too. */
function continues(transition: Transition, push: PushFrame): boolean {
  const { before, after } = transition
  const began =
    before === null ? push.before.every((byte) => byte === 0) : startsWithBytes(before, push.before)
  return began && after !== null && startsWithBytes(after, push.after)
}
