import type { Clock } from "../ports/clock.ts"
import { createState, type State } from "../ports/state.ts"
import type { LinkedPeer } from "./link-table.ts"
import type { Peer, PresenceEntry } from "./room.ts"
import type { LinkStatus } from "./sync-engine-api.ts"

export interface PeerListOptions {
  readonly clock: Clock
  readonly linked: State<ReadonlyMap<string, LinkedPeer>>
  readonly links: State<ReadonlyMap<string, LinkStatus>>
  readonly presence: State<ReadonlyMap<string, PresenceEntry>>
}

export interface PeerList {
  readonly peers: State<readonly Peer[]>
  close(): void
}

/** Counts change with every entry, faster than people can read; a new stage is published at once. */
const REFRESH_MS = 50

/** Combines what the link table, the engine and presence know of each peer. */
export function createPeerList({ clock, linked, links, presence }: PeerListOptions): PeerList {
  const peers = createState<readonly Peer[]>([])
  let cancel: (() => void) | null = null

  const refresh = (): void => {
    cancel?.()
    cancel = null
    const next = [...linked.get().values()].map((peer) =>
      describePeer(peer, links.get().get(peer.session), presence.get().get(peer.session)),
    )
    if (!isSameList(next, peers.get())) peers.set(next)
  }
  const refreshSoon = (): void => {
    cancel ??= clock.after(REFRESH_MS, refresh)
  }
  const hasNewStage = (): boolean =>
    peers.get().some(({ session, stage }) => (links.get().get(session)?.stage ?? stage) !== stage)
  const unsubscribe = [
    linked.subscribe(refresh),
    links.subscribe(() => (hasNewStage() ? refresh() : refreshSoon())),
    presence.subscribe(refreshSoon),
  ]

  return {
    peers,
    close() {
      refresh()
      cancel?.()
      for (const end of unsubscribe) end()
    },
  }
}

function describePeer(
  { session, device, role, path }: LinkedPeer,
  link: LinkStatus | undefined,
  presence: PresenceEntry | undefined,
): Peer {
  const replicas = link?.replicas ?? new Map()
  const statuses = [...replicas.values()] as readonly ReplicaStatus[]
  const syncTimes = statuses.flatMap(({ lastSyncedAt }) => lastSyncedAt ?? [])
  const name = presence?.value["name"]
  const sum = (count: "pendingOut" | "pendingIn" | "refused"): number =>
    statuses.reduce((total, status) => total + status[count], 0)
  return {
    session,
    device,
    name: typeof name === "string" ? name : null,
    path,
    role,
    stage: link?.stage ?? "reconcile",
    rttMs: link?.rttMs ?? null,
    pendingOut: sum("pendingOut"),
    pendingIn: sum("pendingIn"),
    refused: sum("refused"),
    lastSyncedAt: syncTimes.length === 0 ? null : Math.min(...syncTimes),
    replicas,
  }
}

type ReplicaStatus = LinkStatus["replicas"] extends ReadonlyMap<string, infer Status> ? Status : never

function isSameList(a: readonly Peer[], b: readonly Peer[]): boolean {
  return a.length === b.length && a.every((peer, index) => isSamePeer(peer, b[index] as Peer))
}

function isSamePeer(a: Peer, b: Peer): boolean {
  return (Object.keys(a) as (keyof Peer)[]).every((field) => Object.is(a[field], b[field]))
}
