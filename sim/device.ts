import type { JsonObject, MergeHandler } from "@dunlin/core"
import {
  createMemoryReplica,
  createSimulatedDisk,
  createSyncEngine,
  type DiskImage,
  type MemoryCollection,
  type SeededRandom,
  type SimulatedClock,
  type SimulatedDisk,
  type SimulatedTime,
  type SyncEngine,
} from "@dunlin/core/testing"
import { type ClosingReplica, createClosingReplica } from "./closing-replica.ts"
import { ATTACHMENT_FIELD, type Attachments, openAttachments, withAttachments } from "./attachments.ts"
import type { Faults } from "./fault-counts.ts"
import { withFailingReads } from "./failing-reads.ts"
import { HANDLERS } from "./handlers.ts"
import type { History } from "./history.ts"
import type { PlantedBug } from "./planted-bug.ts"
import { createPresenceSeen, presenceSigner, type PresenceSeen } from "./presence.ts"
import type { PeerPlan, Scenario } from "./scenario.ts"

/** One start of the application on a device, until it is closed or crashes. */
export interface Process {
  readonly session: string
  readonly engine: SyncEngine
  readonly clock: SimulatedClock
  /** Null until the replica is open. */
  collection: MemoryCollection | null
  replica: ClosingReplica
  readonly attachments: Promise<Attachments>
  readonly presence: PresenceSeen
  /** The presence that it shows to others; null for none. */
  said: string | null
  alive: boolean
}

export interface Device {
  readonly index: number
  readonly plan: PeerPlan
  readonly disk: SimulatedDisk
  /** 64 hex digits. */
  readonly key: string
  readonly process: Process | null
  /** A process that left is still writing its last state: no other may open the disk. */
  readonly closing: boolean
  backup: DiskImage | null
  /** Left, and never comes back. */
  gone: boolean
  start(onOpen: () => void): void
  crash(): void
  leave(): void
  /** Closes the replica, and opens it again; not one that is being opened or closed. */
  reopen(backAfterMs: number): void
  stepClock(byMs: number): void
  /** From 0 to 1: how many reads of entries and summaries fail. */
  setReadFailureRate(rate: number): void
  /** A null payload deletes. */
  write(document: string, payload: JsonObject | null, attachmentBytes?: number): void
  setPresence(text: string | null): void
}

/** What everything in a simulated world shares. */
export interface World {
  readonly scenario: Scenario
  readonly time: SimulatedTime
  readonly random: SeededRandom
  readonly history: History
  readonly faults: Faults
  readonly bug: PlantedBug | null
  trace(line: string): void
  /** The first failure ends the run. */
  fail(reason: string): void
  /** A device found a peer breaking the protocol. */
  violated(device: number, session: string, detail: string): void
}

const DIGEST_KEY = new Uint8Array(32).fill(0xd1)
const ROOM_TAG = new Uint8Array(32).fill(0x7a)
const WALL_START_MS = 1_767_225_600_000

export function createDevice(world: World, index: number, plan: PeerPlan): Device {
  const { time, history, faults, bug } = world
  const random = world.random.fork(`device/${index}`)
  const disk = createSimulatedDisk({
    time,
    random: random.fork("disk"),
    isTearable: (key) => key === "index",
  })
  const ownKey = random.bytes(32)
  const twinKey =
    plan.twinOf === undefined ? ownKey : world.random.fork(`device/${plan.twinOf}`).bytes(ownKey.length)
  const key = Buffer.from(twinKey).toString("hex")
  let process: Process | null = null
  let closing = false
  let starts = 0
  let reopenings = 0
  let asked = 0
  let minted = 0
  let readFailureRate = 0
  const readChance = random.fork("reads")
  const failsToRead = (): boolean => {
    const fails = readFailureRate > 0 && readChance.chance(readFailureRate)
    if (fails) faults.count("read-refused-by-disk")
    return fails
  }
  let wallMs = WALL_START_MS + plan.wallOffsetMs

  const createReplica = (
    clock: SimulatedClock,
    chance: SeededRandom,
    attachments: Promise<Attachments>,
  ): ClosingReplica => {
    const planted = bug?.replicaOptions?.({ device: index, disk, random: chance })
    const replica = createMemoryReplica({
      name: "documents",
      schemaTag: plan.schemaTag,
      direction: plan.direction,
      store: disk.open(),
      clock,
      random: chance,
      handler: createHandler(world, index, clock, chance.fork("handler")),
      validate: (_key, { payload }) => {
        if (!plan.refuses || payload["forbidden"] !== true) return null
        faults.count("refused-entry")
        return "forbidden here"
      },
      materialiseLagMs: () => {
        if (plan.materialiseLagMs === 0) return 0
        faults.count("lagged-materialisation")
        return chance.below(plan.materialiseLagMs)
      },
      handlerTimeoutMs: 300,
      onMinted(write) {
        history.minted(index, write)
        // Each user write mints one dot, and nothing else does.
        if (++minted > asked) world.fail(`device ${index} made a write of its own to ${write.key}`)
      },
      ...planted,
    })
    const wrapped = bug?.wrapReplica?.(replica) ?? replica
    return createClosingReplica(withFailingReads(withAttachments(wrapped, attachments), failsToRead))
  }

  const open = (own: Process, opened: () => void): void => {
    own.engine.replicate(own.replica.replica).then(
      (collection) => {
        if (process !== own) return
        own.collection = collection
        opened()
      },
      (error: unknown) => {
        if (process === own) world.fail(`a replica did not open: ${String(error)}`)
      },
    )
  }

  const self: Device = {
    index,
    plan,
    disk,
    key,
    get process() {
      return process
    },
    get closing() {
      return closing
    },
    backup: null,
    gone: false,
    start(onOpen) {
      const chance = random.fork(`process/${starts++}`)
      const clock = time.clock({ wallMs })
      const sessionId = chance.bytes(16)
      const presence = createPresenceSeen()
      const attachments = openAttachments({ store: disk.open(), faults, missing: bug?.missingChunks })
      const engine = createSyncEngine({
        clock,
        random: chance.fork("engine"),
        sessionId,
        device: key,
        digestKey: DIGEST_KEY,
        roomTag: ROOM_TAG,
        signer: presenceSigner(key),
        events: {
          presence: presence.receive,
          replicaReport: (_replica, report) => {
            if (report.type === "handler-failed") faults.count("handler-failed")
            else world.trace(`${index} reports ${report.type}: ${report.reason}`)
          },
          violation: (session, code, detail) => world.violated(index, session, `${code}: ${detail}`),
          reconciled: ({ session, rounds, sent, received }) =>
            world.trace(
              `${index} reconciled with ${session.slice(0, 6)}: ${rounds} rounds, ${sent} out, ${received} in`,
            ),
          refused: (session, _replica, reason, by) =>
            world.trace(`${index}: entry refused by ${by} towards ${session.slice(0, 6)}: ${reason}`),
        },
      })
      const session = Buffer.from(sessionId).toString("hex")
      const replica = createReplica(clock, chance.fork("replica"), attachments)
      const own: Process = {
        ...{ session, engine, clock, replica, attachments, presence },
        collection: null,
        said: null,
        alive: true,
      }
      process = own
      world.trace(`${index} starts as ${own.session.slice(0, 6)}`)
      if (plan.present) self.setPresence(`${index} since ${Math.round(time.now)}`)
      open(own, onOpen)
    },
    crash() {
      if (process === null) return
      process.alive = false
      process.clock.stop()
      process = null
      const { unsynced, torn } = disk.crash()
      faults.count("crash")
      if (unsynced > 0) faults.count("unsynced-writes")
      if (torn > 0) faults.count("torn-writes")
      world.trace(`${index} crashes: ${unsynced} changes unsynced, ${torn} torn`)
    },
    leave() {
      const leaving = process
      if (leaving === null) return
      process = null
      closing = true
      faults.count("left")
      world.trace(`${index} leaves`)
      leaving.engine.close().then(
        () => {
          closing = false
          leaving.alive = false
          leaving.clock.stop()
        },
        (error: unknown) => world.fail(`closing failed: ${String(error)}`),
      )
    },
    reopen(backAfterMs) {
      const own = process
      if (own === null || own.collection === null) return
      faults.count("reopened-replica")
      world.trace(`${index} closes its replica`)
      own.collection = null
      const { clock, attachments } = own
      const chance = random.fork(`reopening/${reopenings++}`)
      void own.replica.close().then(() =>
        time.schedule(backAfterMs, () => {
          if (process !== own) return
          world.trace(`${index} opens its replica again`)
          own.replica = createReplica(clock, chance, attachments)
          open(own, () => {})
        }),
      )
    },
    stepClock(byMs) {
      wallMs += byMs
      process?.clock.step(byMs)
      faults.count("clock-step")
      world.trace(`${index}: clock steps by ${byMs} ms`)
    },
    setReadFailureRate(rate) {
      readFailureRate = rate
    },
    write(document, payload, attachmentBytes = 0) {
      if (payload !== null && attachmentBytes > 0) {
        const own = process
        void own?.attachments
          .then((attachments) => attachments.put(attachmentBytes))
          .then(
            (about) => {
              faults.count("attachment")
              if (process === own) self.write(document, { ...payload, [ATTACHMENT_FIELD]: about })
            },
            () => faults.count("write-refused-by-disk"),
          )
        return
      }
      const collection = process?.collection
      if (collection == null) return
      world.trace(
        `${index} writes ${document}: ${payload === null ? "deleted" : JSON.stringify(payload).slice(0, 50)}`,
      )
      asked++
      const done = payload === null ? collection.delete(document) : collection.set(document, payload)
      done.then(
        (dot) => history.acknowledge(dot),
        () => faults.count("write-refused-by-disk"),
      )
    },
    setPresence(text) {
      if (process === null) return
      faults.count("presence")
      world.trace(`${index} says ${text}`)
      process.said = text
      process.engine.setPresence(text === null ? null : Buffer.from(text))
    },
  }
  return self
}

/** The scenario's handler, which notes every write that it is shown. */
function createHandler(
  world: World,
  index: number,
  clock: SimulatedClock,
  random: SeededRandom,
): MergeHandler {
  const { handler: name, twoVersions } = world.scenario
  const handler = HANDLERS[name]({ clock, random, version: twoVersions ? index % 2 : 0 })
  world.faults.count(`handler:${name}`)
  // The replica recognises this function by its identity.
  if (name === "field-wise") return handler
  return (earlier, later) => {
    world.history.handled(earlier.payload)
    world.history.handled(later.payload)
    return handler(earlier, later)
  }
}
