import {
  type DocumentStore,
  type LoroDocuments,
  loroReplica,
  memoryStore,
  type MemoryStore,
} from "@dunlin/loro"
import {
  createSeededRandom,
  createSimulatedConnection,
  createSimulatedTime,
  createSyncEngine,
  type SeededRandom,
  type SimulatedClock,
  type SimulatedConnection,
  type SimulatedTime,
  type SyncEngine,
} from "@dunlin/core/testing"
import type { LoroDoc } from "loro-crdt"
import { expect, test } from "vitest"
import { strictEvents } from "./strict-events.ts"

// Real Loro documents and real engines in virtual time: links break, processes crash with writes under way, and a
// document is deleted while others edit it. In the end everybody is equal and nothing acknowledged is missing.

const SEEDS = Number(process.env["DUNLIN_LORO_SEEDS"] ?? 15)
const IDS = ["a", "b", "c"]
const BUSY_MS = 20_000
const QUIET_LIMIT_MS = 240_000

interface Device {
  readonly index: number
  readonly key: string
  readonly random: SeededRandom
  /** What a crash leaves behind. */
  disk: MemoryStore
  running: Running | null
  starts: number
}

interface Running {
  readonly session: string
  readonly engine: SyncEngine
  readonly clock: SimulatedClock
  readonly links: Set<SimulatedConnection>
  docs: LoroDocuments | null
  alive: boolean
}

interface World {
  readonly time: SimulatedTime
  readonly random: SeededRandom
  readonly devices: readonly Device[]
  readonly acknowledged: Map<string, Set<string>>
  deleted: string | null
}

test.each(Array.from({ length: SEEDS }, (_, seed) => seed))(
  "seed %i: documents converge and keep what was saved",
  async (seed) => {
    const world = createWorld(seed)
    for (const device of world.devices) start(world, device)
    await world.time.runFor(50)
    schedule(world)
    await world.time.runFor(BUSY_MS)
    for (const device of world.devices) if (device.running === null) start(world, device)
    await world.time.runFor(50)
    connectAll(world)
    let equal = false
    for (let waited = 0; waited < QUIET_LIMIT_MS && !equal; waited += 5_000) {
      await world.time.runFor(5_000)
      connectAll(world)
      equal = await allEqual(world)
    }
    expect(equal, `seed ${seed}: devices are apart after ${QUIET_LIMIT_MS} ms of quiet`).toBe(true)
    await checkAcknowledged(world)
    for (const { running } of world.devices) {
      const closing = running?.engine.close()
      await world.time.runFor(200)
      await closing
    }
  },
)

function createWorld(seed: number): World {
  const time = createSimulatedTime()
  const random = createSeededRandom(`loro/${seed}`)
  const devices = Array.from({ length: 3 + random.below(4) }, (_, index) => ({
    index,
    key: hex(random.bytes(32)),
    random: random.fork(`device/${index}`),
    disk: memoryStore(),
    running: null,
    starts: 0,
  }))
  return { time, random, devices, acknowledged: new Map(), deleted: null }
}

function start(world: World, device: Device): void {
  const chance = device.random.fork(`start/${device.starts++}`)
  const sessionId = chance.bytes(16)
  const clock = world.time.clock()
  const engine = createSyncEngine({
    clock,
    random: chance.fork("engine"),
    sessionId,
    device: device.key,
    digestKey: new Uint8Array(32).fill(1),
    roomTag: new Uint8Array(32).fill(2),
    events: {
      ...strictEvents,
      refused: (_session, _replica, reason) => expect.fail(`refused: ${reason}`),
    },
  })
  const running: Running = {
    session: hex(sessionId),
    engine,
    clock,
    links: new Set(),
    docs: null,
    alive: true,
  }
  device.running = running
  const store = slowDisk(world, device.disk, chance.fork("disk"), () => running.alive)
  const replica = loroReplica({
    name: "notes",
    store,
    clock,
    random: chance.fork("replica"),
    maxIdleDocuments: 1,
  })
  void engine.replicate(replica).then((docs) => (running.docs = docs))
}

/** Writes take a while, and never arrive if the process ends first. */
function slowDisk(
  world: World,
  disk: MemoryStore,
  chance: SeededRandom,
  isAlive: () => boolean,
): DocumentStore {
  const never = new Promise<never>(() => undefined)
  return {
    name: "disk",
    async open() {
      const opened = await disk.open()
      return {
        ...opened,
        async commit(batch) {
          await new Promise<void>((resolve) => world.time.schedule(chance.between(0, 25), resolve))
          return isAlive() ? opened.commit(batch) : never
        },
      }
    },
  }
}

function schedule(world: World): void {
  const { time, random } = world
  for (let event = 0; event < 140; event++) {
    time.schedule(random.between(0, BUSY_MS), () => {
      const device = random.pick(world.devices)
      const dice = random.unit()
      if (dice < 0.62) void edit(world, device)
      else if (dice < 0.84) connect(world, device, random.pick(world.devices))
      else if (dice < 0.93) cut(world, device)
      else if (dice < 0.98) crash(world, device)
      else void remove(world, device)
    })
  }
  for (let at = 400; at < BUSY_MS; at += 1_500) {
    time.schedule(at, () => {
      for (const device of world.devices)
        if (device.running === null && random.chance(0.5)) start(world, device)
    })
  }
}

async function edit(world: World, device: Device): Promise<void> {
  const docs = device.running?.docs
  if (docs === null || docs === undefined) return
  const id = world.random.pick(IDS)
  const token = `${device.index}-${device.starts}-${world.random.below(1_000_000)}`
  const text = world.random.below(1_000)
  try {
    const handle = await docs.open(id)
    change(handle.doc, token, text)
    handle.commit()
    await handle.saved()
    const saved = world.acknowledged.get(id) ?? new Set()
    world.acknowledged.set(id, saved.add(token))
    await handle.close()
  } catch (error) {
    // Somebody deleted the document, or the device went away: this is reported, so nothing is lost silently.
    expect(String((error as { code?: string }).code)).toMatch(/^(document-deleted|closed)$/)
  }
}

function change(doc: LoroDoc, token: string, where: number): void {
  const body = doc.getText("body")
  body.insert(where % (body.length + 1), `${token};`)
  doc.getMap("tokens").set(token, where)
  const movable = doc.getMovableList("movable")
  movable.insert(where % (movable.length + 1), token)
  if (movable.length > 2) movable.move(where % movable.length, 0)
  doc.getTree("tree").createNode()
  doc.getCounter("counter").increment(1)
}

async function remove(world: World, device: Device): Promise<void> {
  const docs = device.running?.docs
  if (docs === null || docs === undefined || world.deleted !== null) return
  world.deleted = "c"
  await docs.delete("c").catch(() => undefined)
}

function connect(world: World, left: Device, right: Device): void {
  const [one, two] = [left.running, right.running]
  if (left === right || one === null || two === null || one.docs === null || two.docs === null) return
  const connection = createSimulatedConnection({
    time: world.time,
    random: world.random.fork(`link/${world.time.now}/${left.index}/${right.index}`),
    names: [one.session, two.session],
    latencyMs: [1, 5 + world.random.below(80)],
  })
  attach(connection, 0, one, two, right.key)
  attach(connection, 1, two, one, left.key)
}

function attach(
  connection: SimulatedConnection,
  end: 0 | 1,
  own: Running,
  other: Running,
  device: string,
): void {
  const pipe = connection.ends[end]
  own.links.add(connection)
  const input = own.engine.addLink({
    session: other.session,
    device,
    role: "writer",
    maxMessageBytes: pipe.maxMessageBytes,
    send(lane, message) {
      try {
        pipe.send(lane, message)
      } catch {
        // The link is dead, and its end hears of it.
      }
    },
    buffered: (lane) => pipe.buffered(lane),
    close: () => pipe.close(),
  })
  pipe.open({
    message: (lane, bytes) => void (own.alive && input.message(lane, bytes)),
    drained: (lane) => void (own.alive && input.drained(lane)),
    closed(reason) {
      own.links.delete(connection)
      if (own.alive) input.closed(reason)
    },
  })
}

function connectAll(world: World): void {
  for (const left of world.devices) {
    for (const right of world.devices) {
      const linked = [...(left.running?.links ?? [])].some((link) => right.running?.links.has(link))
      if (left.index < right.index && !linked) connect(world, left, right)
    }
  }
}

function cut(world: World, device: Device): void {
  for (const link of device.running?.links ?? []) link.cut([world.random.below(50), world.random.below(900)])
}

function crash(world: World, device: Device): void {
  const { running } = device
  if (running === null || running.docs === null) return
  running.alive = false
  running.clock.stop()
  for (const link of running.links) link.cut([null, world.random.below(500)])
  // The lease of the crashed process goes with it.
  device.disk = device.disk.copy()
  device.running = null
}

async function allEqual(world: World): Promise<boolean> {
  const contents: string[] = []
  for (const { running } of world.devices) {
    if (running?.docs === null || running?.docs === undefined) return false
    contents.push(
      JSON.stringify(await Promise.all(IDS.map((id) => contentOf(running.docs as LoroDocuments, id)))),
    )
  }
  return new Set(contents).size === 1
}

async function contentOf(docs: LoroDocuments, id: string): Promise<unknown> {
  try {
    const handle = await docs.open(id)
    handle.doc.setHideEmptyRootContainers(true)
    const content: unknown = handle.doc.toJSON()
    await handle.close()
    return sorted(content)
  } catch (error) {
    return String((error as { code?: string }).code)
  }
}

async function checkAcknowledged(world: World): Promise<void> {
  const docs = world.devices[0]?.running?.docs
  for (const [id, tokens] of world.acknowledged) {
    const content = JSON.stringify(await contentOf(docs as LoroDocuments, id))
    if (content === '"document-deleted"') {
      expect(id).toBe(world.deleted)
      continue
    }
    expect([...tokens].filter((token) => !content.includes(`"${token}"`))).toEqual([])
  }
}

/** Object keys in one order, so that equal contents have equal text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  )
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex")
}
