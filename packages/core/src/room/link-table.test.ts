import { afterEach, expect, test } from "vitest"
import { memoryIdentity } from "../crypto/identity.ts"
import { type Clock, systemClock } from "../ports/clock.ts"
import type { Pipe, RunningTransport, Transport, TransportHost } from "../ports/transport.ts"
import { createMemoryReplica } from "../testing/memory-replica.ts"
import { createMemoryNetwork, type MemoryNetwork } from "../testing/memory-transport.ts"
import { createInvite } from "./invite.ts"
import { openRoom, type OpenRoomOptions } from "./open-room.ts"
import type { Room } from "./room.ts"

interface Member {
  readonly room: Room
  /** How often this side had no link although it had had one. */
  readonly lonely: () => number
  readonly linksOpened: () => number
  readonly warnings: () => readonly string[]
}

const opened: Room[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((room) => room.close()))
})

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const eventually = (what: () => unknown) => expect.poll(what, { timeout: 20_000, interval: 5 })

/** One transport that reaches others by several networks, as a device that redials does. `isThere` says by which. */
function several(networks: readonly MemoryNetwork[], isThere: (at: number) => boolean): Transport {
  return {
    name: "several",
    start(host: TransportHost) {
      const running = networks.map((network, at): RunningTransport =>
        network.transport().start({ ...host, wantsLinks: () => isThere(at) && host.wantsLinks() }),
      )
      return {
        reconnect() {
          for (const one of running) one.reconnect()
        },
        async stop() {
          await Promise.all(running.map((one) => one.stop()))
        },
      }
    },
  }
}

async function join(options: Pick<OpenRoomOptions, "invite" | "transports"> & Partial<OpenRoomOptions>) {
  let wasLinked = false
  let lonely = 0
  let linksOpened = 0
  const warnings: string[] = []
  const room = await openRoom({
    identity: memoryIdentity(),
    onDiagnostic(diagnostic) {
      if (diagnostic.type === "link-opened") linksOpened++
      if (diagnostic.type === "warning") warnings.push(diagnostic.code)
    },
    ...options,
  })
  opened.push(room)
  room.peers.subscribe(({ length }) => {
    if (wasLinked && length === 0) lonely++
    wasLinked ||= length > 0
  })
  const member: Member = {
    room,
    lonely: () => lonely,
    linksOpened: () => linksOpened,
    warnings: () => warnings,
  }
  return member
}

const areLinked = (...members: readonly Member[]): boolean =>
  members.every(({ room }) => room.peers.get().length === 1)

async function exchange(...[ada, bob]: readonly [Member, Member]): Promise<void> {
  const replicas = await Promise.all(
    [ada, bob].map(({ room }) => room.replicate(createMemoryReplica({ name: "things" }))),
  )
  const [mine, theirs] = replicas as [(typeof replicas)[0], (typeof replicas)[0]]
  await mine.set("a", { n: 1 })
  await theirs.set("b", { n: 1 })
  await eventually(() => theirs.get("a") !== null && mine.get("b") !== null).toBe(true)
}

/** The second connection comes when the first is this old, as each side's clock has it. */
for (const ages of [
  { ada: 0, bob: 0 },
  { ada: 4_500, bob: 5_500 },
  { ada: 5_500, bob: 4_500 },
  { ada: 60_000, bob: 60_000 },
]) {
  test(`of two connections one always survives, however old the first is: ${JSON.stringify(ages)}`, async () => {
    for (let round = 0; round < 6; round++) {
      const networks = [createMemoryNetwork(), createMemoryNetwork()]
      const invite = createInvite()
      const clock = systemClock()
      let isThere = false
      let age = { ada: 0, bob: 0 }
      const member = (name: keyof typeof ages): Promise<Member> => {
        const own: Clock = { ...clock, monotonic: () => clock.monotonic() + age[name] }
        return join({ invite, clock: own, transports: [several(networks, (at) => at === 0 || isThere)] })
      }
      const [ada, bob] = [await member("ada"), await member("bob")]
      await eventually(() => areLinked(ada, bob)).toBe(true)
      age = ages
      isThere = true
      ada.room.reconnect()
      await pause(60)
      expect([ada.lonely(), bob.lonely()]).toEqual([0, 0])
      await exchange(ada, bob)
    }
  })
}

test("a device that has two transports on one network does not trouble one that has one", async () => {
  const network = createMemoryNetwork()
  const invite = createInvite()
  const clock = systemClock()
  let age = 0
  const aged: Clock = { ...clock, monotonic: () => clock.monotonic() + age }
  const twice = [network.transport(), network.transport()]
  const ada = await join({ invite, clock: aged, transports: twice })
  const bob = await join({ invite, clock: aged, transports: [network.transport()] })
  await eventually(() => areLinked(ada, bob)).toBe(true)
  await pause(100)
  age = 10_000
  const before = [ada.linksOpened(), bob.linksOpened()]
  for (let round = 0; round < 10; round++) {
    ada.room.reconnect()
    bob.room.reconnect()
    await pause(60)
  }
  expect([ada.linksOpened(), bob.linksOpened()]).toEqual(before)
  expect([ada.lonely(), bob.lonely()]).toEqual([0, 0])
})

test("a connection in reserve takes the place of one that breaks, without another attempt", async () => {
  const networks = [createMemoryNetwork(), createMemoryNetwork()] as const
  const invite = createInvite()
  let isThere = false
  const transports = (): Transport[] => [several(networks, (at) => at === 0 || isThere)]
  const [ada, bob] = [
    await join({ invite, transports: transports() }),
    await join({ invite, transports: transports() }),
  ]
  await eventually(() => areLinked(ada, bob)).toBe(true)
  isThere = true
  ada.room.reconnect()
  await exchange(ada, bob)
  await pause(60)
  networks[0].cutAll()
  await eventually(() => areLinked(ada, bob) && ada.linksOpened() === 2 && bob.linksOpened() === 2).toBe(true)
  networks[1].cutAll()
  await eventually(() => ada.room.peers.get().length + bob.room.peers.get().length).toBe(0)
})

/** Two members that are linked by the first network, and hold those of the next in reserve. The pipes of `at` can be muted. */
async function withReserve(reserves: number, at: "link" | "reserve") {
  const networks = Array.from({ length: reserves + 2 }, () => createMemoryNetwork())
  const invite = createInvite()
  const clock = systemClock()
  let age = 0
  let there = 1
  let isMute = false
  let connected = 0
  const losses: Record<string, () => void> = {}
  const silenced = (pipe: Pipe, name: string): Pipe => ({
    ...pipe,
    open(receiver) {
      losses[name] = () => receiver.closed("failed")
      pipe.open(receiver)
    },
    send: (lane, message) => void (isMute || pipe.send(lane, message)),
    close: () => void (isMute || pipe.close()),
  })
  const by = (some: readonly MemoryNetwork[], from: number, mutable: string | null): Transport => {
    const inner = several(some, () => there >= from)
    const start = (host: TransportHost) =>
      inner.start({
        ...host,
        connected(pipe) {
          connected++
          host.connected(mutable === null ? pipe : silenced(pipe, mutable))
        },
      })
    return { name: `from ${from}`, start }
  }
  const member = (name: "ada" | "bob"): Promise<Member> =>
    join({
      invite,
      clock: { ...clock, monotonic: () => clock.monotonic() + age },
      transports: [
        by(networks.slice(0, 1), 1, at === "link" ? name : null),
        by(networks.slice(1, -1), 2, at === "reserve" ? name : null),
        by(networks.slice(-1), 3, null),
      ],
    })
  const [ada, bob] = [await member("ada"), await member("bob")]
  await eventually(() => areLinked(ada, bob)).toBe(true)
  there = 2
  ada.room.reconnect()
  await eventually(() => connected).toBe(2 + reserves * 2)
  await pause(100)
  return {
    ada,
    bob,
    network: networks[0] as MemoryNetwork,
    /** Ten seconds later nothing is heard any more over what can be muted. */
    mute() {
      age = 10_000
      isMute = true
    },
    /** One side loses what can be muted, and the other hears nothing of it. */
    lose: (name: "ada" | "bob") => losses[name]?.(),
    connected: () => connected,
    /** One more network can be reached. */
    more() {
      there = 3
      ada.room.reconnect()
    },
  }
}

test("a connection in reserve that died unnoticed does not keep out the one that is made next", async () => {
  const { ada, bob, network, mute, more } = await withReserve(1, "reserve")
  mute()
  network.cutAll()
  await eventually(() => areLinked(ada, bob) && ada.linksOpened() === 2 && bob.linksOpened() === 2).toBe(true)
  more()
  await exchange(ada, bob)
})

test("a peer that is gone looks gone soon and once, however many connections to it are in reserve", async () => {
  const { ada, bob, network, mute } = await withReserve(4, "reserve")
  mute()
  network.cutAll()
  await eventually(() => ada.room.peers.get().length + bob.room.peers.get().length).toBe(0)
  await pause(100)
  expect([ada.lonely(), bob.lonely()]).toEqual([1, 1])
})

for (const side of ["decides", "does not decide"] as const) {
  test(`a link that only one side has lost is replaced by the reserve: the side that ${side}`, async () => {
    const { ada, bob, mute, lose, connected } = await withReserve(1, "link")
    const before = connected()
    mute()
    lose(ada.room.session < bob.room.session === (side === "decides") ? "ada" : "bob")
    await exchange(ada, bob)
    expect([ada.lonely(), bob.lonely(), connected()]).toEqual([0, 0, before])
  })
}

test("a connection for which there is no room in reserve still shows that the link is dead", async () => {
  const { ada, bob, mute, more } = await withReserve(17, "link")
  mute()
  more()
  await exchange(ada, bob)
})

test("a peer that leaves is gone, whatever is in reserve", async () => {
  const networks = [createMemoryNetwork(), createMemoryNetwork(), createMemoryNetwork()]
  const invite = createInvite()
  const transports = (): Transport[] => networks.map((network) => network.transport())
  const [ada, bob] = [
    await join({ invite, transports: transports() }),
    await join({ invite, transports: transports() }),
  ]
  await eventually(() => areLinked(ada, bob)).toBe(true)
  await pause(60)
  const before = ada.linksOpened()
  await bob.room.close()
  await eventually(() => ada.room.peers.get().length).toBe(0)
  await pause(60)
  expect(ada.linksOpened()).toBe(before)
  expect(ada.warnings()).not.toContain("refused-by-peer")
})

test("a peer that breaks the protocol is out, whatever is in reserve", async () => {
  const networks = [createMemoryNetwork(), createMemoryNetwork()]
  const invite = createInvite()
  let isThere = false
  const pipes: Pipe[] = []
  const reaching = several(networks, (at) => at === 0 || isThere)
  const tapped: Transport = {
    ...reaching,
    start: (host) =>
      reaching.start({
        ...host,
        connected(pipe) {
          pipes.push(pipe)
          host.connected(pipe)
        },
      }),
  }
  const ada = await join({ invite, transports: [reaching] })
  const bob = await join({ invite, transports: [tapped] })
  await eventually(() => areLinked(ada, bob)).toBe(true)
  isThere = true
  ada.room.reconnect()
  await exchange(ada, bob)
  await eventually(() => pipes.length).toBe(2)
  await pause(60)
  pipes[0]?.send("control", Uint8Array.of(255, 255, 255))
  await eventually(() => ada.room.diagnostics.recent().some(({ type }) => type === "violation")).toBe(true)
  await pause(60)
  expect(ada.room.peers.get()).toEqual([])
  expect(ada.linksOpened()).toBe(1)
})

test("both sides come to the same one of many connections that are made at once", async () => {
  for (let round = 0; round < 12; round++) {
    const networks = Array.from({ length: 4 }, () => createMemoryNetwork())
    const invite = createInvite()
    const authorize = async (): Promise<"writer"> => {
      await pause(Math.random() * 20)
      return "writer"
    }
    const transports = (): Transport[] =>
      networks.map((network) => network.transport({ latencyMs: Math.random() * 10 }))
    const [ada, bob] = [
      await join({ invite, authorize, transports: transports() }),
      await join({ invite, authorize, transports: transports() }),
    ]
    await eventually(() => areLinked(ada, bob)).toBe(true)
    await pause(100)
    const before = [ada.linksOpened(), bob.linksOpened()]
    await exchange(ada, bob)
    await pause(20)
    expect([ada.linksOpened(), bob.linksOpened()]).toEqual(before)
    expect(areLinked(ada, bob)).toBe(true)
  }
})

test("connections in reserve are no more than a few", async () => {
  const networks = Array.from({ length: 24 }, () => createMemoryNetwork())
  const invite = createInvite()
  const transports = (): Transport[] => networks.map((network) => network.transport())
  const [ada, bob] = [
    await join({ invite, transports: transports() }),
    await join({ invite, transports: transports() }),
  ]
  await eventually(() => ada.warnings().includes("duplicate") || bob.warnings().includes("duplicate")).toBe(
    true,
  )
  await exchange(ada, bob)
})
