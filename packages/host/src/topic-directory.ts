import type { Clock, Millis } from "@dunlin/core"
import { MAX_ROOM_PEERS, type UnreachableReason } from "@dunlin/core/signaling"
import { birthOf, nextGeneration, prevails } from "./session-claim.ts"
import { type BucketRate, createBucket, draw, type TokenBucket } from "./token-bucket.ts"
import type { PresenceChanges } from "./presence-changes.ts"

/** Where a member can be reached. */
export type Place =
  | { readonly type: "here"; readonly outlet: Outlet; readonly channel: number }
  /** Its socket broke; the others count on its return until `until`. */
  | { readonly type: "away"; readonly since: number; readonly until: Millis }
  /** On another host of the cluster. */
  | { readonly type: "remote"; readonly node: string }

export interface Outlet {
  /** Passes a signal on. False when the socket does not read what it is sent. */
  signal(channel: number, from: string, blob: Uint8Array): boolean
  /** Tells the sender of a signal, later, that it did not arrive. */
  unreachable(channel: number, peer: string, reason: UnreachableReason): void
  /** Tells the socket who came and went, now or once it has read what was sent before. */
  presence(member: Member, changes: PresenceChanges): void
  /** The session was resumed elsewhere; the socket has lost this membership. */
  dispossessed(member: Member, channel: number): void
}

export interface Member {
  readonly topic: Topic
  /** 16 bytes as a key. */
  readonly peer: string
  /** Hash of the secret that resumes this session, as a key. */
  claim: string
  /** Hash of the secret that its client presented on joining, whether or not it matched; null if there was none. */
  took: string | null
  /**
   * When the session was begun and by whom: 12 bytes as a key that sorts by age. It stays the same when the session is
   * resumed, and clients cannot influence it.
   */
  birth: string
  /** Grows each time the session is resumed, so that hosts agree on who has it. */
  generation: number
  place: Place
  /** Position in the topic's history from which on this member has been told of every change. */
  toldSince: number
}

export interface Topic {
  /** 32 bytes as a key. */
  readonly key: string
  readonly members: Map<string, Member>
  /** Members that are here or away, not remote. */
  localCount: number
  readonly messages: TokenBucket
  /** Grows with every change. */
  history: number
  pending: PresenceChanges
  flushedAt: Millis
  flushTimer: (() => void) | null
}

export type JoinResult =
  | { readonly type: "joined"; readonly member: Member; readonly resumed: boolean }
  | { readonly type: "room-full" }
  | { readonly type: "peer-id-taken" }
  | { readonly type: "too-many-topics" }

export type SessionElsewhere = Readonly<Pick<Member, "claim" | "birth" | "generation">>

/** What hosts tell each other about a member. */
export type MemberFacts = SessionElsewhere & Readonly<Pick<Member, "peer" | "took">>

export interface RemoteMember extends MemberFacts {
  readonly node: string
}

/** Is told at once what happens to members of this host. */
export interface DirectoryObserver {
  topicOpened(topic: Topic): void
  topicClosed(topic: Topic): void
  joined(member: Member): void
  left(member: Member): void
}

/** Topics and their members: presence, grace time and caps. Knows nothing of sockets or of the protocol's bytes. */
export interface TopicDirectory {
  join(request: {
    readonly topic: string
    readonly peer: string
    /** Hash of the secret that the client presented. */
    readonly presentedClaim: string | null
    readonly claim: string
    /** The session as another host of the cluster has it, when this host does not know it. */
    readonly elsewhere: SessionElsewhere | null
    readonly outlet: Outlet
    readonly channel: number
    readonly now: Millis
  }): JoinResult
  leave(member: Member): void
  /** The socket broke: the member stays for the grace time. */
  lose(member: Member, now: Millis): void
  find(topic: string): Topic | undefined
  /** Draws from the allowance of the whole room. */
  drawMessage(topic: Topic, now: Millis): boolean
  /** Removes the members whose grace time is over. */
  sweep(now: Millis): void
  /**
   * Another host of the cluster has announced this member. Returns the member of this host that owns the session, if
   * the other host has to be told so.
   */
  remoteJoined(topic: Topic, remote: RemoteMember): Member | null
  remoteLeft(topic: Topic, peer: string, node: string): void
  /** `peers` is everyone the host has in the topic: whoever is missing has left without our hearing of it. */
  retainRemote(topic: Topic, node: string, peers: ReadonlySet<string>): void
  /** Hosts of the cluster are gone, and all their members with them. */
  forgetNodes(nodes: ReadonlySet<string>): void
  observe(observer: DirectoryObserver): void
  topics(): IterableIterator<Topic>
  readonly topicCount: number
  readonly memberCount: number
  close(): void
}

/**
 * Changes are told at once, but at most this often per topic: a thousand joiners must not mean a thousand frames each.
 */
const PRESENCE_INTERVAL_MS = 50

export function createTopicDirectory(
  limits: {
    readonly roomMaxSockets: number
    readonly roomMessagesPerSecond: number
    readonly roomMessageBurst: number
    readonly maxTopics: number
    readonly graceMs: number
  },
  clock: Clock,
  localNode: string,
  /** An observer or an outlet threw. What it was told about has happened all the same. */
  faulted: (error: unknown) => void,
): TopicDirectory {
  const topics = new Map<string, Topic>()
  // In the order of expiry, since the grace time is the same for all.
  const away = new Set<Member>()
  const observers: DirectoryObserver[] = []
  const roomRate: BucketRate = { perSecond: limits.roomMessagesPerSecond, burst: limits.roomMessageBurst }
  let memberCount = 0

  const contain = (call: () => void): void => {
    try {
      call()
    } catch (error) {
      faulted(error)
    }
  }
  const tellObservers = (tell: (observer: DirectoryObserver) => void): void => {
    for (const observer of observers) contain(() => tell(observer))
  }

  const openTopic = (key: string, now: Millis): Topic => {
    const topic: Topic = {
      key,
      members: new Map(),
      localCount: 0,
      messages: createBucket(roomRate, now),
      history: 0,
      pending: new Map(),
      flushedAt: now - PRESENCE_INTERVAL_MS,
      flushTimer: null,
    }
    topics.set(key, topic)
    tellObservers((observer) => observer.topicOpened(topic))
    return topic
  }

  const closeTopicWhenEmpty = (topic: Topic): void => {
    if (topic.localCount > 0 || topics.get(topic.key) !== topic) return
    topic.flushTimer?.()
    topics.delete(topic.key)
    tellObservers((observer) => observer.topicClosed(topic))
  }

  const flush = (topic: Topic): void => {
    topic.flushTimer = null
    // A member that is alone has been told nothing, so the second to come must not wait for the interval.
    if (topic.members.size > 1) topic.flushedAt = clock.monotonic()
    const changes = topic.pending
    topic.pending = new Map()
    for (const member of topic.members.values()) {
      const { place } = member
      if (place.type === "here") contain(() => place.outlet.presence(member, changes))
    }
  }

  const noteChange = (topic: Topic, peer: string, change: "joined" | "left"): void => {
    topic.history += 1
    topic.pending.set(peer, change)
    if (topic.flushTimer !== null) return
    const delayMs = Math.max(0, topic.flushedAt + PRESENCE_INTERVAL_MS - clock.monotonic())
    topic.flushTimer = clock.after(delayMs, () => flush(topic))
  }

  const remove = (member: Member): void => {
    const { topic } = member
    if (topic.members.get(member.peer) !== member) return
    topic.members.delete(member.peer)
    away.delete(member)
    if (member.place.type !== "remote") {
      topic.localCount -= 1
      memberCount -= 1
      tellObservers((observer) => observer.left(member))
    }
    noteChange(topic, member.peer, "left")
    closeTopicWhenEmpty(topic)
  }

  /** Makes room by removing a member that nobody can reach at present. */
  const evictAway = (topic: Topic): boolean => {
    for (const member of topic.members.values()) {
      if (member.place.type === "away") {
        remove(member)
        return true
      }
    }
    return false
  }

  /** Announces a resumed session to those who joined in the meantime and have not heard of it. */
  const announceReturn = (member: Member, since: number): void => {
    const changes: PresenceChanges = new Map([[member.peer, "joined"]])
    for (const other of member.topic.members.values()) {
      if (other !== member && other.place.type === "here" && other.toldSince > since) {
        const { outlet } = other.place
        contain(() => outlet.presence(other, changes))
      }
    }
  }

  const resume = (member: Member, outlet: Outlet, channel: number, claim: string): void => {
    const { place } = member
    member.took = member.claim
    member.claim = claim
    member.generation = nextGeneration(member.generation)
    member.place = { type: "here", outlet, channel }
    member.toldSince = member.topic.history
    switch (place.type) {
      case "here":
        contain(() => place.outlet.dispossessed(member, place.channel))
        return
      case "away":
        away.delete(member)
        announceReturn(member, place.since)
        return
      case "remote":
        member.topic.localCount += 1
        memberCount += 1
        tellObservers((observer) => observer.joined(member))
    }
  }

  return {
    join({ topic: key, peer, presentedClaim, claim, elsewhere, outlet, channel, now }) {
      const known = topics.get(key)
      const present = known?.members.get(peer)
      if (present !== undefined) {
        if (presentedClaim === null || presentedClaim !== present.claim) return { type: "peer-id-taken" }
        resume(present, outlet, channel, claim)
        return { type: "joined", member: present, resumed: true }
      }
      if (elsewhere !== null && presentedClaim !== elsewhere.claim) return { type: "peer-id-taken" }
      if (known === undefined && topics.size >= limits.maxTopics) return { type: "too-many-topics" }
      if (known !== undefined && known.members.size >= limits.roomMaxSockets && !evictAway(known)) {
        return { type: "room-full" }
      }
      // Evicting the last member closes the topic.
      const topic = topics.get(key) ?? openTopic(key, now)
      const member: Member = {
        topic,
        peer,
        claim,
        took: presentedClaim,
        birth: elsewhere?.birth ?? birthOf(clock.now(), claim),
        generation: nextGeneration(elsewhere?.generation ?? 0),
        place: { type: "here", outlet, channel },
        toldSince: topic.history,
      }
      topic.members.set(peer, member)
      topic.localCount += 1
      memberCount += 1
      noteChange(topic, peer, "joined")
      tellObservers((observer) => observer.joined(member))
      return { type: "joined", member, resumed: elsewhere !== null }
    },
    leave: remove,
    lose(member, now) {
      if (member.topic.members.get(member.peer) !== member || member.place.type !== "here") return
      if (limits.graceMs === 0) {
        remove(member)
        return
      }
      member.place = { type: "away", since: member.topic.history, until: now + limits.graceMs }
      // Those who join from here on are not told of this member, and must be told when it returns.
      member.topic.history += 1
      away.add(member)
    },
    find: (key) => topics.get(key),
    drawMessage: (topic, now) => draw(topic.messages, roomRate, 1, now),
    sweep(now) {
      for (const member of away) {
        if (member.place.type === "away" && member.place.until > now) return
        remove(member)
      }
    },
    remoteJoined(topic, remote) {
      const present = topic.members.get(remote.peer)
      if (present === undefined) {
        // Hosts that fill a room at once may overfill it a little: a member that another host admitted stays.
        if (topic.members.size >= MAX_ROOM_PEERS) return null
        const { node, ...facts } = remote
        const place: Place = { type: "remote", node }
        topic.members.set(remote.peer, { topic, ...facts, place, toldSince: topic.history })
        noteChange(topic, remote.peer, "joined")
        return null
      }
      const { place } = present
      const owner = place.type === "remote" ? place.node : localNode
      if (!prevails(remote, present, owner)) return place.type === "remote" ? null : present
      present.claim = remote.claim
      present.took = remote.took
      present.birth = remote.birth
      present.generation = remote.generation
      present.place = { type: "remote", node: remote.node }
      if (place.type === "remote") return null
      topic.localCount -= 1
      memberCount -= 1
      away.delete(present)
      if (place.type === "here") contain(() => place.outlet.dispossessed(present, place.channel))
      else announceReturn(present, place.since)
      closeTopicWhenEmpty(topic)
      return null
    },
    remoteLeft(topic, peer, node) {
      const member = topic.members.get(peer)
      if (member?.place.type === "remote" && member.place.node === node) remove(member)
    },
    retainRemote(topic, node, peers) {
      for (const member of topic.members.values()) {
        if (member.place.type === "remote" && member.place.node === node && !peers.has(member.peer))
          remove(member)
      }
    },
    forgetNodes(nodes) {
      for (const topic of topics.values()) {
        for (const member of topic.members.values()) {
          if (member.place.type === "remote" && nodes.has(member.place.node)) remove(member)
        }
      }
    },
    observe: (observer) => void observers.push(observer),
    topics: () => topics.values(),
    get topicCount() {
      return topics.size
    },
    get memberCount() {
      return memberCount
    },
    close() {
      for (const topic of topics.values()) topic.flushTimer?.()
      topics.clear()
      away.clear()
    },
  }
}

/** The peers a joiner is told of. Those who are away are announced when they return. */
export function reachablePeers(topic: Topic, self: Member): string[] {
  const peers: string[] = []
  for (const member of topic.members.values()) {
    if (member !== self && member.place.type !== "away") peers.push(member.peer)
  }
  return peers
}
