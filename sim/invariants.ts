import {
  canonicalJson,
  covers,
  EMPTY_REGISTER,
  joinRegister,
  type JsonObject,
  type RegisterState,
  stateHash,
  wholeDelta,
} from "@dunlin/core"
import { ATTACHMENT_FIELD, isAttachmentWhole } from "./attachments.ts"
import type { Device } from "./device.ts"
import { type Edge, otherEnd } from "./edge.ts"
import type { GhostWrite, History } from "./history.ts"
import { isFull, type PeerPlan } from "./scenario.ts"

/** Devices that must end up with the same documents. */
interface Group {
  readonly devices: readonly Device[]
  /** Whether documents marked as forbidden count. */
  readonly withForbidden: boolean
}

/** Why the world is not in the state that it must come to rest in; null when it is. */
export function findDivergence(
  devices: readonly Device[],
  edges: readonly Edge[],
  history: History,
): string | null {
  const forbidden = new Set(history.writes.filter((write) => write.forbidden).map(({ document }) => document))
  for (const group of groupsOf(devices, edges)) {
    const exempt = group.withForbidden ? new Set<string>() : forbidden
    const reason = differenceIn(group.devices, exempt, history) ?? lossIn(group.devices, exempt, history)
    if (reason !== null) return reason
  }
  return leafDivergence(devices, edges, forbidden, history)
}

/** What must hold at every end, converged or not. */
export function findBrokenRule(devices: readonly Device[], history: History): string | null {
  if (history.reusedDots.length > 0) return `a dot names two writes: ${history.reusedDots[0]}`
  for (const device of devices) {
    const collection = device.process?.collection
    if (collection == null) continue
    const image = device.disk.image()
    for (const document of documentsOf(history)) {
      const state = collection.state(document)
      if (state === null) continue
      for (const { dot, payload } of state.siblings) {
        if (!covers(state.context, dot))
          return `${device.index} holds a sibling of ${document} outside its context`
        const about = payload[ATTACHMENT_FIELD] as JsonObject | undefined
        if (about !== undefined && !isAttachmentWhole(image, about))
          return `${device.index} shows ${document} without all of its attachment`
      }
    }
  }
  return null
}

function groupsOf(devices: readonly Device[], edges: readonly Edge[]): Group[] {
  const open = (plan: PeerPlan): boolean => isFull(plan) && !plan.refuses
  return [
    ...components(devices, edges, isFull).map((group) => ({ devices: group, withForbidden: false })),
    ...components(devices, edges, open).map((group) => ({ devices: group, withForbidden: true })),
  ]
}

/** Running devices that reach each other over devices of their own kind and schema tag. */
function components(
  devices: readonly Device[],
  edges: readonly Edge[],
  takesPart: (plan: PeerPlan) => boolean,
): (readonly Device[])[] {
  const left = new Set(devices.filter((device) => device.process !== null && takesPart(device.plan)))
  const groups: Device[][] = []
  for (const first of left) {
    left.delete(first)
    const group = [first]
    for (const device of group) {
      for (const edge of edges) {
        const other = otherEnd(edge, device)
        if (other === null || !left.has(other) || other.plan.schemaTag !== device.plan.schemaTag) continue
        left.delete(other)
        group.push(other)
      }
    }
    groups.push(group)
  }
  return groups
}

function differenceIn(
  group: readonly Device[],
  exempt: ReadonlySet<string>,
  history: History,
): string | null {
  const [first, ...others] = group as [Device, ...Device[]]
  for (const document of documentsOf(history)) {
    if (exempt.has(document)) continue
    for (const other of others) {
      const reason = differenceOf(first, other, document)
      if (reason !== null) return reason
    }
  }
  return null
}

function differenceOf(one: Device, other: Device, document: string): string | null {
  const [a, b] = [one, other].map((device) => device.process?.collection ?? null)
  if (a == null || b == null) return `${a === null ? one.index : other.index} is not open`
  const [mine, theirs] = [hashOf(a.state(document)), hashOf(b.state(document))]
  if (mine !== theirs) return `${one.index} and ${other.index} hold different states of ${document}`
  const [seen, seenThere] = [canonicalJson(a.get(document)), canonicalJson(b.get(document))]
  if (seen !== seenThere) return `${one.index} shows ${document} as ${seen}, ${other.index} as ${seenThere}`
  return null
}

/** An acknowledged write that the group does not hold, and that no author overwrote knowingly. */
function lossIn(group: readonly Device[], exempt: ReadonlySet<string>, history: History): string | null {
  const members = new Set(group.map(({ index }) => index))
  const [first] = group as [Device, ...Device[]]
  for (const document of documentsOf(history)) {
    if (exempt.has(document)) continue
    const state = first.process?.collection?.state(document) ?? null
    const known = knownIn(state, history)
    for (const write of history.writes) {
      if (write.document !== document || !write.acknowledged || !members.has(write.device)) continue
      if (!isLostTo(write, members) && !known.has(write.id)) return `${nameOf(write)} of ${document} is lost`
    }
    const unseen = unhandledIn(state, history)
    if (unseen !== null)
      return `${nameOf(unseen)} of ${document} is in conflict and was never passed to the handler`
  }
  return null
}

/** Its author lost it with a disk, and nobody holds it, or nobody who is linked with these devices. */
function isLostTo({ gone, heldBy }: GhostWrite, devices: ReadonlySet<number>): boolean {
  return gone || (heldBy !== null && ![...heldBy].some((holder) => devices.has(holder)))
}

function knownIn(state: RegisterState | null, history: History): ReadonlySet<number> {
  const known = new Set<number>()
  for (const { dot } of state?.siblings ?? []) for (const id of history.byDot(dot)?.past ?? []) known.add(id)
  return known
}

function unhandledIn(state: RegisterState | null, history: History): GhostWrite | null {
  if (state === null || state.siblings.length < 2) return null
  // Deleted siblings are all alike and fold without the handler.
  for (const { dot, payload, fields } of state.siblings) {
    const write = history.byDot(dot)
    if (write === null || payload["w"] === undefined || fields !== undefined) continue
    if (!write.passedToHandler) return write
  }
  return null
}

/** Readers and one-way devices are linked to one full device each. */
function leafDivergence(
  devices: readonly Device[],
  edges: readonly Edge[],
  forbidden: ReadonlySet<string>,
  history: History,
): string | null {
  const groups = components(devices, edges, isFull)
  for (const leaf of devices) {
    if (leaf.process === null || isFull(leaf.plan)) continue
    for (const edge of edges) {
      const host = otherEnd(edge, leaf)
      if (host?.process == null || !isFull(host.plan) || host.plan.schemaTag !== leaf.plan.schemaTag) continue
      const group = groups.find((each) => each.includes(host)) ?? [host]
      const linked = new Set(group.map(({ index }) => index))
      const reason =
        towardsLeaf(leaf, host, linked, forbidden, history) ?? fromLeaf(leaf, host, forbidden, history)
      if (reason !== null) return reason
    }
  }
  return null
}

/** `linked`: the full devices that the host reaches, and itself. */
function towardsLeaf(
  leaf: Device,
  host: Device,
  linked: ReadonlySet<number>,
  forbidden: ReadonlySet<string>,
  history: History,
): string | null {
  if (leaf.plan.direction === "send-only") return null
  for (const document of documentsOf(history)) {
    const exempt = forbidden.has(document) && (leaf.plan.refuses || host.plan.refuses)
    if (exempt) continue
    // What a leaf wrote itself stays with it, and so does what it alone received before a disk was rolled back.
    const mayBeAhead = history.writes.some(
      (write) => write.document === document && (write.device === leaf.index || isLostTo(write, linked)),
    )
    const reason = mayBeAhead
      ? behindOf(host, leaf, linked, document, history)
      : differenceOf(host, leaf, document)
    if (reason !== null) return reason
  }
  return null
}

/** A leaf that is ahead of its host must hold all that the host does and, beyond that, only its own writes and lost ones. */
function behindOf(
  host: Device,
  leaf: Device,
  linked: ReadonlySet<number>,
  document: string,
  history: History,
): string | null {
  const [theirs, own] = [host, leaf].map((device) => device.process?.collection?.state(document) ?? null)
  if (theirs == null) return null
  const joined = joinRegister(own ?? EMPTY_REGISTER, wholeDelta(theirs))
  if (joined.type !== "joined" || joined.changed)
    return `${leaf.index} lacks what ${host.index} holds of ${document}`
  for (const { dot } of own?.siblings ?? []) {
    const write = history.byDot(dot)
    if (covers(theirs.context, dot) || write === null || write.device === leaf.index) continue
    if (isLostTo(write, linked)) continue
    return `${leaf.index} holds ${nameOf(write)} of ${document} and its host ${host.index} does not`
  }
  return null
}

function fromLeaf(
  leaf: Device,
  host: Device,
  forbidden: ReadonlySet<string>,
  history: History,
): string | null {
  const shares = leaf.plan.role === "writer" && leaf.plan.direction !== "receive-only"
  for (const write of history.writes) {
    if (write.device !== leaf.index) continue
    const known = knownIn(host.process?.collection?.state(write.document) ?? null, history)
    if (!shares && known.has(write.id))
      return `${nameOf(write)} of a device that may not write reached ${host.index}`
    const exempt = forbidden.has(write.document) && host.plan.refuses
    if (shares && write.acknowledged && !write.gone && !exempt && !known.has(write.id)) {
      return `${nameOf(write)} of ${write.document} did not reach ${host.index}`
    }
  }
  return null
}

function documentsOf(history: History): ReadonlySet<string> {
  return new Set(history.writes.map(({ document }) => document))
}

/** States are immutable, and the same ones are compared over and over. */
const hashByState = new WeakMap<RegisterState, string>()

function hashOf(state: RegisterState | null): string {
  if (state === null) return "nothing"
  let hash = hashByState.get(state)
  if (hash === undefined) {
    hash = stateHash(state).join()
    hashByState.set(state, hash)
  }
  return hash
}

function nameOf({ id, device }: GhostWrite): string {
  return `write ${id} of device ${device}`
}
