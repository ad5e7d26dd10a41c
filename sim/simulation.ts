import { inspect } from "node:util"
import type { JsonObject } from "@dunlin/core"
import { createSeededRandom, createSimulatedTime } from "@dunlin/core/testing"
import { createDevice, type Device, type World } from "./device.ts"
import { createEdge, type Edge } from "./edge.ts"
import { createFaults, type Faults } from "./fault-counts.ts"
import { createHistory, type History } from "./history.ts"
import { findBrokenRule, findDivergence } from "./invariants.ts"
import { markLostWrites } from "./lost-writes.ts"
import type { PlantedBug } from "./planted-bug.ts"
import { findGhost, findUnseen } from "./presence.ts"
import { isFull, type PlannedEvent, type Scenario } from "./scenario.ts"
import { createSyncedClaims } from "./synced-claims.ts"
import { createTraffic } from "./traffic.ts"

export interface SimulationOptions {
  readonly bug?: PlantedBug
  /** Receives a line for everything that happens. */
  readonly trace?: (line: string) => void
  /** Traces a line for every frame that arrives, too. */
  readonly frames?: boolean
  /** Sees every message as it is sent. */
  readonly capture?: (message: Uint8Array) => void
  /** Sees the devices at the end, before anything is closed. */
  readonly inspect?: (devices: readonly Device[]) => void
}

export interface SimulationResult {
  /** What went wrong, or null. */
  readonly failure: string | null
  readonly faults: ReadonlyMap<string, number>
  /** A hash over every message and every final state: equal for equal seeds and code. */
  readonly digest: number
  readonly messages: number
  readonly writes: number
  /** Virtual milliseconds from the end of the faults to equal states. */
  readonly convergedAfterMs: number
}

/** After this only heartbeats may travel. */
const QUIET_AFTER_MS = 60_000
const OBSERVED_MS = 20_000
/**
 * A link that died silently is given up after at most 57 s. A `synced()` that still waited for it rejects 30 s later, and
 * takes its questions back.
 */
const WAITS_END_AFTER_MS = 90_000
/** Twenty times what the busiest of the usual worlds needs. */
const MOST_MESSAGES_PER_EDGE = 20_000
const CRASH_PATIENCE_MS = 400
const CRASH_POLL_MS = 4
const CLOSING_POLL_MS = 50
const POLL_MS = 500
const HEARTBEATS: ReadonlySet<string> = new Set(["ping", "pong", "root", "presence-relay"])
const WHILE_SOMEBODY_WAITS: ReadonlySet<string> = new Set([...HEARTBEATS, "synced-want", "synced-answer"])
/** Presence of a device that left may have been under way over links that stood still while it aged. */
const GHOST_LIMIT_MS = 30_000
/** A question and its answer over the slowest link. */
const SYNCED_AT_REST_MS = 5_000

/** Runs one world from its first start to rest. Never rejects: what goes wrong is in the result. */
export async function runSimulation(
  scenario: Scenario,
  options: SimulationOptions = {},
): Promise<SimulationResult> {
  const run = createRun(scenario, options)
  let convergedAfterMs = Number.POSITIVE_INFINITY
  try {
    convergedAfterMs = await run.toRest()
  } catch (error) {
    run.fail(inspect(error))
  }
  return { ...run.result(), convergedAfterMs }
}

interface Run {
  toRest(): Promise<number>
  fail(reason: string): void
  result(): Omit<SimulationResult, "convergedAfterMs">
}

function createRun(scenario: Scenario, { bug, trace, frames, capture, inspect }: SimulationOptions): Run {
  const time = createSimulatedTime()
  const random = createSeededRandom(`world/${scenario.seed}`)
  const faults: Faults = createFaults()
  const history: History = createHistory()
  let failure: string | null = null

  const fail = (reason: string): void => {
    failure ??= `${reason} (at ${Math.round(time.now)} ms)`
  }

  const isTainted = (session: string): boolean => edges.some((edge) => edge.isTainted(session))

  const world: World = {
    scenario,
    time,
    random,
    history,
    faults,
    bug: bug ?? null,
    trace: (line) => trace?.(`${time.now.toFixed(1).padStart(9)}  ${line}`),
    fail,
    violated(device, session, detail) {
      world.trace(`${device} finds that ${session.slice(0, 6)} breaks the protocol: ${detail}`)
      const own = (devices[device] as Device).process?.session ?? ""
      if (!isTainted(session) && !isTainted(own)) {
        fail(`an honest peer was accused: ${detail}`)
      }
    },
  }

  const traffic = createTraffic(world, {
    mostMessages: MOST_MESSAGES_PER_EDGE * (scenario.edges.length + 2),
    traceFrames: frames ?? false,
    capture,
  })
  const devices = scenario.peers.map((plan, index) => createDevice(world, index, plan))
  const edges = scenario.edges.map(([a, b], index) =>
    createEdge(world, index, [devices[a] as Device, devices[b] as Device], traffic),
  )
  const edgesOf = (device: Device): readonly Edge[] => edges.filter(({ ends }) => ends.includes(device))
  const claims = createSyncedClaims(world, devices, isTainted)
  const chance = random.fork("events")

  const start = (device: Device): void => {
    if (device.process !== null || device.gone) return
    if (device.closing) {
      time.schedule(CLOSING_POLL_MS, () => start(device))
      return
    }
    const first = !everStarted.has(device)
    everStarted.add(device)
    if (!first) faults.count("restart")
    device.start(() => {
      if (first) preload(device)
    })
    for (const edge of edgesOf(device)) time.schedule(chance.between(20, 200), edge.dial)
  }
  const everStarted = new Set<Device>()

  const preload = (device: Device): void => {
    for (let at = 0; at < device.plan.preload; at++) {
      const shared = at % 3 === 0
      device.write(shared ? `shared-${at}` : `own-${device.index}-${at}`, {
        w: `${device.index}/${at}`,
        n: at,
      })
    }
  }

  /** A device that is gone, for now or for good, drops its links. */
  const dropLinks = (device: Device): void => {
    for (const edge of edgesOf(device)) {
      edge.lost(edge.ends[0] === device ? 0 : 1, chance.chance(0.3) ? null : chance.below(3_000))
    }
  }

  const act = (event: PlannedEvent, number: number): void => {
    switch (event.type) {
      case "write": {
        const payload: JsonObject = {
          w: number,
          n: number % 97,
          ...(event.forbidden && { forbidden: true }),
          ...(event.padding > 0 && { filling: "x".repeat(event.padding) }),
        }
        device(event.peer).write(`doc-${event.document}`, event.deletes ? null : payload, event.attachment)
        return
      }
      case "cut":
        edge(event.edge).cut(event.noticeMs, event.backAfterMs)
        return
      case "partition":
        faults.count(event.from === "both" ? "partition" : "partition-one-way")
        world.trace(`partition of edge ${event.edge}, ${event.from}`)
        edge(event.edge).setStalled(event.from, true)
        time.schedule(event.forMs, () => edge(event.edge).setStalled(event.from, false))
        return
      case "slow":
        faults.count("slow-peer")
        world.trace(`${event.peer} becomes slow: ${event.bytesPerMs.toFixed(1)} bytes/ms`)
        setSpeed(device(event.peer), event.bytesPerMs)
        time.schedule(event.forMs, () => setSpeed(device(event.peer), Number.POSITIVE_INFINITY))
        return
      case "duplicate":
        edge(event.edge).setDuplicationRate(event.rate)
        time.schedule(event.forMs, () => edge(event.edge).setDuplicationRate(0))
        return
      case "garbage":
        edge(event.edge).sendGarbage(event.from, event.kind)
        return
      case "crash":
        crashWhenBusy(event, time.now + CRASH_PATIENCE_MS)
        return
      case "backup":
        device(event.peer).backup = device(event.peer).disk.image()
        return
      case "copy": {
        const copy = device(event.into)
        if (everStarted.has(copy)) return
        faults.count("copied-profile")
        world.trace(`${event.into} starts with a copy of ${event.peer}`)
        copy.disk.restore(device(event.peer).disk.image())
        start(copy)
        return
      }
      case "leave": {
        const leaver = device(event.peer)
        if (leaver.process === null) return
        leaver.leave()
        if (event.backAfterMs === null) {
          leaver.gone = true
          markLostWrites(devices, history)
        } else {
          time.schedule(event.backAfterMs + 2_000, () => {
            faults.count("returned")
            start(leaver)
          })
        }
        return
      }
      case "reopen":
        device(event.peer).reopen(event.backAfterMs)
        return
      case "clock-step":
        device(event.peer).stepClock(event.byMs)
        return
      case "presence":
        device(event.peer).setPresence(event.present ? `${event.peer}, changed by ${number}` : null)
        return
      case "await-synced":
        claims.ask(device(event.peer), event.peers ?? 1)
        return
      case "disk-slow":
        faults.count("disk-slow")
        device(event.peer).disk.setSyncMs(event.syncMs / 2, event.syncMs)
        time.schedule(event.forMs, () => device(event.peer).disk.setSyncMs(1, 5))
        return
      case "disk-failing":
        device(event.peer).disk.setFailureRate(event.rate)
        time.schedule(event.forMs, () => device(event.peer).disk.setFailureRate(0))
        return
      case "reads-failing":
        device(event.peer).setReadFailureRate(event.rate)
        time.schedule(event.forMs, () => device(event.peer).setReadFailureRate(0))
        return
    }
  }

  /** Waits a little for a write of several changes to be under way: that is when a crash does most harm. */
  const crashWhenBusy = (event: Extract<PlannedEvent, { readonly type: "crash" }>, until: number): void => {
    const victim = device(event.peer)
    if (time.now >= until || victim.disk.widestPending > 1) crash(victim, event)
    else time.schedule(CRASH_POLL_MS, () => crashWhenBusy(event, until))
  }

  const crash = (
    victim: Device,
    { rollback, backAfterMs }: { readonly rollback: boolean; readonly backAfterMs: number },
  ): void => {
    if (victim.process === null) return
    const { session } = victim.process
    victim.crash()
    dropLinks(victim)
    if (rollback && victim.backup !== null) {
      claims.rollingBack(victim, session)
      faults.count("disk-rollback")
      world.trace(`${victim.index} gets its backup back`)
      victim.disk.restore(victim.backup)
      markLostWrites(devices, history)
    }
    time.schedule(backAfterMs, () => start(victim))
  }

  const setSpeed = (slow: Device, bytesPerMs: number): void => {
    for (const one of edgesOf(slow)) for (const from of [0, 1] as const) one.setBytesPerMs(from, bytesPerMs)
  }

  const device = (index: number): Device => devices[index] as Device
  const edge = (index: number): Edge => edges[index] as Edge

  const heal = (): void => {
    world.trace("all faults end")
    for (const one of devices) {
      one.disk.setSyncMs(1, 5)
      one.disk.setFailureRate(0)
      one.setReadFailureRate(0)
      if (everStarted.has(one)) start(one)
    }
    for (const one of edges) {
      one.cleanse()
      one.heal()
    }
  }

  const runFor = async (durationMs: number): Promise<void> => {
    await time.runUntil(() => failure !== null, durationMs)
  }

  /** At rest, `synced()` resolves on every device that has somebody to share everything with. */
  const syncedAtRest = async (): Promise<void> => {
    const partnersOf = (one: Device): readonly Device[] =>
      edgesOf(one)
        .filter(({ ends }) =>
          ends.every(
            ({ process, plan }) => process !== null && isFull(plan) && plan.schemaTag === one.plan.schemaTag,
          ),
        )
        .flatMap(({ ends }) => ends.filter((end) => end !== one))
    // A twin does not count as another device, but is asked about the devices that it is linked to.
    const knows = (one: Device): boolean =>
      partnersOf(one).some((partner) =>
        [partner, ...(partner.key === one.key ? partnersOf(partner) : [])].some(({ key }) => key !== one.key),
      )
    const stillWaiting = claims.askAll(devices.filter(knows))
    await runFor(SYNCED_AT_REST_MS)
    const reason = stillWaiting()
    if (reason !== null) fail(reason)
  }

  /** Waits until nobody waits any more. The last questions are still on their way when the last wait ends. */
  const waitsEnd = async (limit: number): Promise<void> => {
    while (failure === null && claims.waiting() !== null) {
      if (time.now > limit) fail(`synced() of ${claims.waiting()?.index} neither resolves nor rejects`)
      else await runFor(POLL_MS)
    }
    await runFor(SYNCED_AT_REST_MS)
  }

  const countPlan = (): void => {
    faults.count(`topology:${scenario.topology}`)
    if (scenario.twoVersions) faults.count("two-handler-versions")
    if (new Set(scenario.peers.map(({ schemaTag }) => schemaTag)).size > 1) faults.count("two-schema-tags")
    for (const plan of scenario.peers) {
      if (plan.role === "reader") faults.count("reader")
      if (plan.direction !== "both") faults.count("one-way-replica")
      if (plan.twinOf !== undefined) faults.count("twin")
      if (plan.startsAtMs >= 300 && plan.startsAtMs < scenario.healAtMs) faults.count("joined-late")
    }
  }

  return {
    fail,
    async toRest() {
      countPlan()
      for (const one of devices) {
        if (one.plan.startsAtMs < scenario.healAtMs) time.schedule(one.plan.startsAtMs, () => start(one))
      }
      for (const [number, event] of scenario.events.entries()) {
        time.schedule(event.atMs, () => act(event, number))
      }
      await runFor(scenario.healAtMs)
      heal()
      const healedAt = time.now
      let reason: string | null = "nothing happened"
      while (failure === null && time.now - healedAt < QUIET_AFTER_MS) {
        await runFor(POLL_MS)
        reason = findDivergence(devices, edges, history)
        if (reason === null) break
      }
      const convergedAfterMs = time.now - healedAt
      if (reason !== null) fail(reason)
      if (failure === null) await runFor(QUIET_AFTER_MS - convergedAfterMs)
      if (failure === null) await syncedAtRest()
      traffic.allowOnly(WHILE_SOMEBODY_WAITS)
      await waitsEnd(healedAt + WAITS_END_AFTER_MS)
      traffic.allowOnly(HEARTBEATS)
      if (failure === null) await runFor(OBSERVED_MS)
      if (failure === null) {
        const broken =
          findDivergence(devices, edges, history) ??
          findBrokenRule(devices, history) ??
          findUnseen(devices, edges)
        if (broken !== null) fail(broken)
      }
      if (failure === null && findGhost(devices) !== null) await runFor(GHOST_LIMIT_MS)
      if (failure === null) {
        const ghost = findGhost(devices)
        if (ghost !== null) fail(ghost)
      }
      return convergedAfterMs
    },
    result() {
      inspect?.(devices)
      for (const { disk } of devices) for (const [, value] of disk.image()) traffic.absorb(value)
      const { digest, messages } = traffic
      return { failure, faults: faults.counts, digest, messages, writes: history.writes.length }
    },
  }
}
