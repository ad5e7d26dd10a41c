import { createHash } from "node:crypto"
import { type Clock, DecodeError, type Millis } from "@dunlin/core"
import { bytesOfKey, keyOfBytes } from "../binary-key.ts"
import { count, type HostCounters } from "../host-counters.ts"
import type { Member, MemberFacts, SessionElsewhere, Topic, TopicDirectory } from "../topic-directory.ts"
import type { ClusterLink } from "./cluster-link.ts"
import {
  type ClusterMessage,
  decodeClusterMessage,
  encodeClusterMessage,
  MAX_CHANGES,
  type TopicHash,
} from "./cluster-message.ts"

/** Makes several hosts one: rooms span them. Who is where is soft state; repeating it corrects what was lost. */
export interface HostCluster {
  /** Passes a signal to the host that has the member. False when that is not possible now. */
  forward(target: Member, from: string, blob: Uint8Array): boolean
  /** Asks the other hosts for a session that this one does not know. Resolves to null when none answers in time. */
  find(topicKey: string, peer: string): Promise<SessionElsewhere | null>
  /** Hosts heard from lately, without this one. */
  readonly nodeCount: number
  readonly up: boolean
  close(): Promise<void>
}

const HEARTBEAT_MS = 2000
/** Three heartbeats missed. */
const NODE_LIFE_MS = 3 * HEARTBEAT_MS + 500
/** Every topic is announced in full within this time, one slice per second. */
const ANNOUNCE_ROUND_S = 30
/** How often to check whether a host has fallen silent. */
const TICK_MS = 500
/** A tick that is later than this means that this host itself was stalled. */
const STALL_MS = 1000
/** After a gap, this many topics are announced again in one turn; then other work gets its turn. */
const CATCH_UP_SLICE = 500
const CATCH_UP_PAUSE_MS = 20
/** Whoever makes up names of hosts must not keep all real ones announcing and asking all the time. */
const CATCH_UP_EVERY_MS = 2000
/** Changes within this time travel together. */
const GATHER_MS = 5
/** Interest in a new topic takes a moment to reach every NATS server, so the host asks again for what it missed. */
const ASK_AGAIN_MS = 150
const FIND_MS = 150
const MAX_SEARCHES = 10_000
/** Beyond this many hosts, messages are dropped: the members of a host that is not tracked would never be forgotten. */
const MAX_NODES = 1000

const subjects = {
  heartbeat: "sig.hb",
  node: (node: string) => `sig.n.${node}`,
  topic: (hash: TopicHash) => `sig.r.${Buffer.from(bytesOfKey(hash)).toString("base64url")}`,
}

interface SharedTopic {
  readonly topic: Topic
  readonly hash: TopicHash
  readonly unsubscribe: () => void
  /** Local changes that the other hosts have not been told of yet. */
  readonly changes: Map<string, "joined" | "left">
}

export function createHostCluster(deps: {
  readonly link: ClusterLink
  readonly directory: TopicDirectory
  readonly node: string
  readonly clock: Clock
  readonly counters: HostCounters
  /** A message or a timer ran into a fault of this host itself. */
  readonly faulted: (error: unknown) => void
}): HostCluster {
  const { link, directory, node, clock, counters } = deps
  const sharedByTopic = new Map<Topic, SharedTopic>()
  const sharedByHash = new Map<TopicHash, SharedTopic>()
  const heardAt = new Map<string, Millis>()
  const dirty = new Set<SharedTopic>()
  /** Searches that are under way, by topic and peer. */
  const searches = new Map<string, Set<(found: SessionElsewhere) => void>>()
  let cancelGather: (() => void) | null = null
  const startedAt = clock.monotonic()
  let tickedAt = startedAt
  let beatAt = Number.NEGATIVE_INFINITY
  let cancelTick = (): void => {}
  let cancelCatchUp: (() => void) | null = null
  let caughtUpAt = Number.NEGATIVE_INFINITY
  let slice = 0

  /** Runs work whose faults no caller could catch. */
  const contain = (work: () => void): void => {
    try {
      work()
    } catch (error) {
      deps.faulted(error)
    }
  }
  const later = (delayMs: Millis, work: () => void): (() => void) => clock.after(delayMs, () => contain(work))

  const publish = (subject: string, message: ClusterMessage): boolean => {
    if (link.publish(subject, encodeClusterMessage(message))) return true
    count(counters.drops, "cluster")
    return false
  }

  const announceAll = (shared: SharedTopic, subject: string): void => {
    const local = [...shared.topic.members.values()].filter(({ place }) => place.type !== "remote")
    publish(subject, {
      type: "announce",
      node,
      topic: shared.hash,
      complete: true,
      joined: local.map(memberFacts),
      left: [],
    })
  }

  const announceChanges = (shared: SharedTopic): void => {
    const changes = [...shared.changes]
    shared.changes.clear()
    for (let at = 0; at < changes.length; at += MAX_CHANGES) {
      const part = changes.slice(at, at + MAX_CHANGES)
      publish(subjects.topic(shared.hash), {
        type: "announce",
        node,
        topic: shared.hash,
        complete: false,
        joined: part.flatMap(([peer]) => {
          const member = shared.topic.members.get(peer)
          return member === undefined || member.place.type === "remote" ? [] : [memberFacts(member)]
        }),
        left: part.flatMap(([peer, change]) =>
          change === "left" && !shared.topic.members.has(peer) ? [peer] : [],
        ),
      })
    }
  }

  const gather = (member: Member, change: "joined" | "left"): void => {
    const shared = sharedByTopic.get(member.topic)
    if (shared === undefined) return
    shared.changes.set(member.peer, change)
    dirty.add(shared)
    cancelGather ??= later(GATHER_MS, () => {
      cancelGather = null
      const changed = [...dirty]
      dirty.clear()
      for (const one of changed) announceChanges(one)
    })
  }

  const ask = (shared: SharedTopic): void =>
    void publish(subjects.topic(shared.hash), { type: "ask", node, topic: shared.hash })

  /** After a gap no host knows what it missed: everything is announced and asked for again, in slices. */
  const catchUp = (): void => {
    if (cancelCatchUp !== null) return
    let left: SharedTopic[] | null = null
    const turn = (): void => {
      cancelCatchUp = null
      caughtUpAt = clock.monotonic()
      left ??= [...sharedByTopic.values()]
      for (const shared of left.splice(0, CATCH_UP_SLICE)) {
        if (sharedByTopic.get(shared.topic) !== shared) continue
        announceAll(shared, subjects.topic(shared.hash))
        ask(shared)
      }
      if (left.length > 0 && link.up) cancelCatchUp = later(CATCH_UP_PAUSE_MS, turn)
    }
    const waitMs = caughtUpAt + CATCH_UP_EVERY_MS - clock.monotonic()
    cancelCatchUp = later(Math.max(CATCH_UP_PAUSE_MS, waitMs), turn)
  }

  directory.observe({
    topicOpened(topic) {
      const hash = hashOf(topic.key)
      const subject = subjects.topic(hash)
      const shared: SharedTopic = {
        topic,
        hash,
        changes: new Map(),
        unsubscribe: link.subscribe(subject, receive),
      }
      sharedByTopic.set(topic, shared)
      sharedByHash.set(hash, shared)
      ask(shared)
      later(ASK_AGAIN_MS, () => {
        if (sharedByTopic.get(topic) === shared) ask(shared)
      })
    },
    topicClosed(topic) {
      const shared = sharedByTopic.get(topic)
      if (shared === undefined) return
      announceChanges(shared)
      dirty.delete(shared)
      shared.unsubscribe()
      sharedByTopic.delete(topic)
      sharedByHash.delete(shared.hash)
    },
    joined: (member) => gather(member, "joined"),
    left: (member) => gather(member, "left"),
  })

  /** False when there is no place for another host. */
  const hear = (from: string): boolean => {
    if (!heardAt.has(from) && heardAt.size >= MAX_NODES) {
      count(counters.drops, "cluster")
      return false
    }
    heardAt.set(from, clock.monotonic())
    return true
  }

  const takeHeartbeat = (from: string, uptimeMs: Millis): void => {
    // A host that has just started asks by itself. An older one that is new to us was cut off and forgotten.
    const isNew = !heardAt.has(from)
    if (hear(from) && isNew && uptimeMs > NODE_LIFE_MS) catchUp()
  }

  const takeAnnouncement = (message: Extract<ClusterMessage, { type: "announce" }>): void => {
    const shared = sharedByHash.get(message.topic)
    if (shared === undefined) return
    const { topic } = shared
    for (const joined of message.joined) {
      const owned = directory.remoteJoined(topic, { ...joined, node: message.node })
      // The other host admitted someone because it had not heard of our member.
      if (owned !== null) gather(owned, "joined")
    }
    for (const peer of message.left) directory.remoteLeft(topic, peer, message.node)
    if (message.complete) {
      directory.retainRemote(topic, message.node, new Set(message.joined.map(({ peer }) => peer)))
    }
  }

  const takeFind = (message: Extract<ClusterMessage, { type: "find" }>): void => {
    const member = sharedByHash.get(message.topic)?.topic.members.get(message.peer)
    if (member === undefined) return
    const { claim, birth, generation } = member
    const { topic, peer } = message
    publish(subjects.node(message.node), { type: "found", topic, peer, claim, birth, generation })
  }

  const takeFound = (message: Extract<ClusterMessage, { type: "found" }>): void => {
    for (const settle of searches.get(message.topic + message.peer) ?? []) settle(message)
  }

  const takeSignal = (message: Extract<ClusterMessage, { type: "signal" }>): void => {
    const member = sharedByHash.get(message.topic)?.topic.members.get(message.to)
    const place = member?.place
    if (place?.type === "here") {
      if (place.outlet.signal(place.channel, message.from, message.blob)) return
    }
    const reason =
      place === undefined || place.type === "remote" ? "gone" : place.type === "away" ? "away" : "busy"
    publish(subjects.node(message.node), {
      type: "unreachable",
      topic: message.topic,
      sender: message.from,
      peer: message.to,
      reason,
    })
  }

  const takeUnreachable = (message: Extract<ClusterMessage, { type: "unreachable" }>): void => {
    const place = sharedByHash.get(message.topic)?.topic.members.get(message.sender)?.place
    if (place?.type === "here") place.outlet.unreachable(place.channel, message.peer, message.reason)
  }

  const take = (message: ClusterMessage): void => {
    switch (message.type) {
      case "heartbeat":
        if (message.node !== node) takeHeartbeat(message.node, message.uptimeMs)
        return
      case "ask": {
        const shared = sharedByHash.get(message.topic)
        if (message.node !== node && shared !== undefined) announceAll(shared, subjects.node(message.node))
        return
      }
      case "announce":
        if (message.node !== node && hear(message.node)) takeAnnouncement(message)
        return
      case "find":
        if (message.node !== node) takeFind(message)
        return
      case "found":
        takeFound(message)
        return
      case "signal":
        takeSignal(message)
        return
      case "unreachable":
        takeUnreachable(message)
    }
  }

  function receive(bytes: Uint8Array): void {
    try {
      take(decodeClusterMessage(bytes))
    } catch (error) {
      // Others may use the same NATS; and a fault while handling a message must not end the subscription.
      if (error instanceof DecodeError) count(counters.drops, "cluster")
      else deps.faulted(error)
    }
  }

  const forgetSilentNodes = (now: Millis, stalledMs: Millis): void => {
    const silent = new Set<string>()
    for (const [other, at] of heardAt) {
      // What other hosts sent while this one was stalled is still waiting to be read.
      if (stalledMs > 0) heardAt.set(other, at + stalledMs)
      else if (now - at >= NODE_LIFE_MS) silent.add(other)
    }
    // All in one pass over the members: somebody may have made up a thousand names.
    if (silent.size > 0) directory.forgetNodes(silent)
    for (const other of silent) heardAt.delete(other)
  }

  const beat = (now: Millis): void => {
    beatAt = now
    publish(subjects.heartbeat, { type: "heartbeat", node, uptimeMs: Math.round(now - startedAt) })
    // One slice of all topics, so that a lost message is made good within a round.
    for (let seconds = 0; seconds < HEARTBEAT_MS / 1000; seconds++) {
      slice = (slice + 1) % ANNOUNCE_ROUND_S
      for (const shared of sharedByHash.values()) {
        if (shared.hash.charCodeAt(0) % ANNOUNCE_ROUND_S === slice)
          announceAll(shared, subjects.topic(shared.hash))
      }
    }
  }

  const tick = (): void => {
    cancelTick = later(TICK_MS, tick)
    const now = clock.monotonic()
    const lateMs = now - tickedAt - TICK_MS
    tickedAt = now
    forgetSilentNodes(now, lateMs > STALL_MS ? lateMs : 0)
    if (now - beatAt >= HEARTBEAT_MS && link.up) beat(now)
  }

  const subscriptions = [
    link.subscribe(subjects.heartbeat, receive),
    link.subscribe(subjects.node(node), receive),
  ]
  link.onChange((up) => {
    if (!up) return
    contain(() => beat(clock.monotonic()))
    catchUp()
  })
  tick()

  return {
    forward(target, from, blob) {
      const shared = sharedByTopic.get(target.topic)
      if (shared === undefined || target.place.type !== "remote") return false
      return publish(subjects.node(target.place.node), {
        type: "signal",
        node,
        topic: shared.hash,
        to: target.peer,
        from,
        blob,
      })
    },
    find(topicKey, peer) {
      if (!link.up || searches.size >= MAX_SEARCHES) return Promise.resolve(null)
      const topic = hashOf(topicKey)
      const search = topic + peer
      return new Promise((resolve) => {
        const settle = (found: SessionElsewhere | null): void => {
          cancel()
          const waiting = searches.get(search)
          waiting?.delete(settle)
          if (waiting?.size === 0) searches.delete(search)
          resolve(found)
        }
        const cancel = clock.after(FIND_MS, () => settle(null))
        searches.set(search, (searches.get(search) ?? new Set()).add(settle))
        publish(subjects.topic(topic), { type: "find", node, topic, peer })
      })
    },
    get nodeCount() {
      return heardAt.size
    },
    get up() {
      return link.up
    },
    async close() {
      cancelTick()
      cancelGather?.()
      cancelCatchUp?.()
      for (const unsubscribe of subscriptions) unsubscribe()
      await link.close()
    },
  }
}

function memberFacts({ peer, claim, took, birth, generation }: Member): MemberFacts {
  return { peer, claim, took, birth, generation }
}

function hashOf(topicKey: string): TopicHash {
  return keyOfBytes(
    createHash("sha256").update("dunlin/1 cluster").update(bytesOfKey(topicKey)).digest().subarray(0, 16),
  )
}
