import { getEventListeners } from "node:events"
import { afterEach, describe, expect, test } from "vitest"
import { type Identity, IdentityError, memoryIdentity } from "../crypto/identity.ts"
import { type Clock, systemClock } from "../ports/clock.ts"
import { createState, type State } from "../ports/state.ts"
import type { ElectionRole, Pipe, Transport, TransportHost } from "../ports/transport.ts"
import { faulty } from "../testing/faulty-transport.ts"
import { createMemoryReplica, type MemoryCollection } from "../testing/memory-replica.ts"
import { createMemoryNetwork, type MemoryTransportOptions } from "../testing/memory-transport.ts"
import { createInvite, parseInvite, topicInvite } from "./invite.ts"
import { openRoom, type OpenRoomOptions } from "./open-room.ts"
import { type Diagnostic, type Room, RoomError } from "./room.ts"

const opened: Room[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((room) => room.close()))
})

type Options = Partial<OpenRoomOptions> & Pick<OpenRoomOptions, "invite" | "transports">

async function open(options: Options): Promise<Room> {
  const room = await openRoom({ identity: memoryIdentity(), ...options })
  opened.push(room)
  return room
}

const share = (room: Room, name = "things"): Promise<MemoryCollection> =>
  room.replicate(createMemoryReplica({ name }))

const until = async (condition: () => boolean, what: string): Promise<void> => {
  const end = Date.now() + 15_000
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited 15 s for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A clock on which delays pass so many times sooner, for tests of logic that would have to wait for 30 s. */
function hurriedClock(times: number): Clock {
  const clock = systemClock()
  return { ...clock, after: (delayMs, wake) => clock.after(delayMs / times, wake) }
}

const warnings = (room: Room): string[] =>
  room.diagnostics.recent().flatMap((finding) => (finding.type === "warning" ? finding.code : []))

const paths: readonly MemoryTransportOptions[] = [{ bound: true }, { bound: false, path: "custom" }]
for (const path of paths) {
  test(`two rooms exchange entries, ${path.bound ? "bound to certificates" : "through the record layer"}`, async () => {
    const network = createMemoryNetwork()
    const invite = createInvite()
    const ada = await open({ invite, transports: [network.transport(path)] })
    const bob = await open({ invite, transports: [network.transport(path)] })
    const [mine, theirs] = [await share(ada), await share(bob)]
    await mine.set("a", { from: "ada" })
    await theirs.set("b", { from: "bob" })
    await until(() => theirs.get("a") !== null && mine.get("b") !== null, "both entries at both sides")
    expect(theirs.get("a")).toEqual({ from: "ada" })
    await ada.synced()
    expect(ada.peers.get()).toMatchObject([{ session: bob.session, device: bob.device, role: "writer" }])
    expect(bob.status.get().phase).toBe("connected")
  })
}

test("many replicas share one link", async () => {
  const network = createMemoryNetwork()
  const invite = createInvite()
  const ada = await open({ invite, transports: [network.transport()] })
  const bob = await open({ invite, transports: [network.transport()] })
  const names = ["one", "two", "three", "four", "five"]
  for (const name of names) await (await share(ada, name)).set("key", { name })
  const theirs = await Promise.all(names.map((name) => share(bob, name)))
  await until(() => theirs.every((each) => each.get("key") !== null), "one entry in each")
  expect(ada.diagnostics.recent().filter(({ type }) => type === "link-opened")).toHaveLength(1)
  const listed = (): string[] => [...(ada.peers.get()[0]?.replicas.keys() ?? [])].toSorted()
  await until(() => listed().length === names.length, "all of them in the list of peers")
  expect(listed()).toEqual(names.toSorted())
})

describe("one process", () => {
  test("holds rooms that know nothing of each other", async () => {
    const network = createMemoryNetwork()
    const rooms = await Promise.all(
      [createInvite(), createInvite()].map((invite) => open({ invite, transports: [network.transport()] })),
    )
    await pause(100)
    expect(rooms.map((room) => room.peers.get().length)).toEqual([0, 0])
  })

  test("opens the same room twice with the same arguments: two peers of one device", async () => {
    const network = createMemoryNetwork()
    const options = { invite: createInvite(), transports: [network.transport()], identity: memoryIdentity() }
    const [one, two] = [await open(options), await open(options)]
    const [mine, theirs] = [await share(one), await share(two)]
    await mine.set("a", { n: 1 })
    await until(() => theirs.get("a") !== null, "the entry at the other")
    expect(one.device).toBe(two.device)
    expect(one.session).not.toBe(two.session)
  })

  test("survives open, close, open as React's StrictMode does it", async () => {
    const network = createMemoryNetwork()
    const options = { invite: createInvite(), transports: [network.transport()], identity: memoryIdentity() }
    const other = await open({ ...options, identity: memoryIdentity() })
    const theirs = await share(other)
    const first = openRoom(options)
    const second = open(options)
    await (await first).close()
    const mine = await share(await second)
    await mine.set("a", { n: 1 })
    await until(() => theirs.get("a") !== null, "the entry of the second mount")
    await until(() => other.peers.get().length === 1, "the first mount to be gone")
  })
})

describe("who is let in", () => {
  const pair = async (options: Partial<OpenRoomOptions>): Promise<readonly [Room, Room]> => {
    const network = createMemoryNetwork()
    const invite = createInvite()
    const ada = await open({ invite, transports: [network.transport()], ...options })
    return [ada, await open({ invite, transports: [network.transport()] })]
  }

  test("isPeerValid sees an authenticated device and can refuse it", async () => {
    const seen: string[] = []
    const [ada, bob] = await pair({
      isPeerValid: ({ device }) => {
        seen.push(device)
        return false
      },
    })
    await until(() => warnings(ada).includes("refused-by-isPeerValid"), "the refusal")
    expect(seen).toEqual([bob.device])
    expect(ada.peers.get()).toEqual([])
    expect(ada.status.get().problem?.code).toBe("refused")
  })

  test("authorize can refuse, later and by a promise", async () => {
    const [ada] = await pair({ authorize: () => Promise.resolve(false) })
    await until(() => warnings(ada).includes("refused-by-authorize"), "the refusal")
    expect(ada.peers.get()).toEqual([])
  })

  test("authorize makes readers", async () => {
    const [ada] = await pair({ authorize: () => "reader" })
    await until(() => ada.peers.get().length === 1, "the link")
    expect(ada.peers.get()[0]?.role).toBe("reader")
  })

  test("an application that throws lets nobody in", async () => {
    const [ada] = await pair({
      authorize: () => {
        throw new Error("database is down")
      },
    })
    await until(() => warnings(ada).includes("authorization-failed"), "the refusal")
    expect(ada.peers.get()).toEqual([])
  })

  test("an application that never answers lets nobody in", async () => {
    const [ada] = await pair({ isPeerValid: () => new Promise(() => {}), clock: hurriedClock(10) })
    await until(() => warnings(ada).includes("authorization-timeout"), "the refusal")
    expect(ada.peers.get()).toEqual([])
  })

  test("a full room says so and stays as it is", async () => {
    const network = createMemoryNetwork()
    const invite = createInvite()
    const forced: Transport = {
      name: "forced",
      // Links come whether or not they are wanted, as a hostile peer's would.
      start: (host) => network.transport().start({ ...host, wantsLinks: () => true }),
    }
    const ada = await open({ invite, transports: [forced], maxLinks: 1 })
    const bob = await open({ invite, transports: [forced] })
    await until(() => ada.peers.get().length === 1, "the first link")
    await open({ invite, transports: [forced] })
    await until(() => warnings(ada).includes("room-full"), "the refusal")
    expect(ada.peers.get()).toMatchObject([{ session: bob.session }])
  })

  test("a full room has a place for each tab of its own browser, which has no other way out", async () => {
    const [direct, near] = [createMemoryNetwork(), createMemoryNetwork()]
    const invite = createInvite()
    const tab = (): Transport => {
      const inner = near.transport({ path: "tab", bound: false })
      return { ...inner, start: (host) => inner.start({ ...host, wantsLinks: () => true }) }
    }
    const holder = await open({ invite, transports: [direct.transport(), tab()], maxLinks: 1 })
    await open({ invite, transports: [direct.transport()] })
    await until(() => holder.peers.get().length === 1, "the link that fills the room")
    const follower = await open({ invite, transports: [tab()], maxLinks: 1 })
    await until(() => follower.peers.get().length === 1 && holder.peers.get().length === 2, "the tab's link")
    expect(holder.peers.get().map(({ path }) => path)).toEqual(["memory", "tab"])
  })
})

test("two connections between the same two sessions become one, the same at both ends", async () => {
  const networks = [createMemoryNetwork(), createMemoryNetwork(), createMemoryNetwork()]
  const invite = createInvite()
  const transports = (): Transport[] => networks.map((network) => network.transport())
  const [ada, bob] = [
    await open({ invite, transports: transports() }),
    await open({ invite, transports: transports() }),
  ]
  const [mine, theirs] = [await share(ada), await share(bob)]
  await pause(300)
  await mine.set("a", { n: 1 })
  await theirs.set("b", { n: 1 })
  await until(() => theirs.get("a") !== null && mine.get("b") !== null, "entries over the one that is left")
  expect([ada, bob].map((room) => room.peers.get().length)).toEqual([1, 1])
})

test("a tab is preferred to any other way there", async () => {
  const [direct, tab] = [createMemoryNetwork(), createMemoryNetwork()]
  const invite = createInvite()
  const transports = (): Transport[] => [direct.transport(), tab.transport({ path: "tab", bound: false })]
  const [ada] = [
    await open({ invite, transports: transports() }),
    await open({ invite, transports: transports() }),
  ]
  await until(() => ada.peers.get()[0]?.path === "tab", "the tab path")
  expect(ada.peers.get()).toHaveLength(1)
})

test("after a cut both come together again and lack nothing", async () => {
  const network = createMemoryNetwork()
  const invite = createInvite()
  const [ada, bob] = [
    await open({ invite, transports: [network.transport()] }),
    await open({ invite, transports: [network.transport()] }),
  ]
  const [mine, theirs] = [await share(ada), await share(bob)]
  await until(() => ada.peers.get().length === 1, "the link")
  network.cutAll()
  await until(() => ada.peers.get().length === 0, "the cut")
  await mine.set("meanwhile", { n: 1 })
  expect(theirs.get("meanwhile")).toBeNull()
  ada.reconnect()
  await until(() => theirs.get("meanwhile") !== null, "what was written meanwhile")
})

describe("presence", () => {
  test("shows what others set, changes by field, and goes with its session", async () => {
    const network = createMemoryNetwork()
    const invite = createInvite()
    const [ada, bob] = [
      await open({ invite, transports: [network.transport()] }),
      await open({ invite, transports: [network.transport()] }),
    ]
    ada.presence.set({ name: "Ada", cursor: 1 })
    const seen = (): unknown => bob.presence.others.get().get(ada.session)?.value
    await until(() => seen() !== undefined, "Ada's presence")
    expect(bob.presence.others.get().get(ada.session)).toMatchObject({ device: ada.device })
    await until(() => bob.peers.get()[0]?.name === "Ada", "Ada's name in the list")
    ada.presence.setField("cursor", 2)
    await until(() => (seen() as { cursor: number }).cursor === 2, "the new cursor")
    expect(seen()).toEqual({ name: "Ada", cursor: 2 })
    await ada.close()
    await until(() => bob.presence.others.get().size === 0, "Ada to be gone")
  })

  test("refuses what is too large, and keeps what was there", async () => {
    const room = await open({ invite: createInvite(), transports: [] })
    room.presence.set({ small: true })
    expect(() => room.presence.set({ large: "x".repeat(3000) })).toThrow(
      expect.objectContaining({ code: "presence-too-large" }) as Error,
    )
    expect(room.presence.local()).toEqual({ small: true })
  })
})

describe("opening", () => {
  const refusals: Record<string, [Partial<Options>, string]> = {
    "an empty invite": [{ invite: "" }, "bad-invite"],
    "a cut invite": [{ invite: createInvite().slice(0, 30) }, "bad-invite"],
    "maxLinks 0": [{ maxLinks: 0 }, "invalid-option"],
    "maxLinks 1000": [{ maxLinks: 1000 }, "invalid-option"],
    "no transports": [{ transports: undefined as never }, "invalid-option"],
    "an identity that cannot be had": [
      { identity: { load: () => Promise.reject(new IdentityError("storage-failed", "the disk is full")) } },
      "identity-unavailable",
    ],
    "an identity that throws anything": [
      { identity: { load: () => Promise.reject(new Error("no")) } },
      "identity-unavailable",
    ],
    "an identity whose key is none": [
      {
        identity: {
          load: async () => ({ publicKey: new Uint8Array(31), sign: async () => new Uint8Array(64) }),
        },
      },
      "identity-unavailable",
    ],
  }
  for (const [name, [options, code]] of Object.entries(refusals)) {
    test(`rejects ${name}`, async () => {
      const opening = openRoom({
        invite: createInvite(),
        transports: [],
        identity: memoryIdentity(),
        ...options,
      })
      await expect(opening).rejects.toThrow(expect.objectContaining({ name: "RoomError", code }) as Error)
    })
  }

  test("ends with an aborted signal, and a later abort closes the room", async () => {
    const signal = AbortSignal.abort(new Error("changed my mind"))
    await expect(open({ invite: createInvite(), transports: [], signal })).rejects.toThrow("changed my mind")
    const later = new AbortController()
    const room = await open({ invite: createInvite(), transports: [], signal: later.signal })
    later.abort()
    await until(() => room.status.get().phase === "closed", "the room to close")
  })

  test("ends with the signal while the identity loads, however long that takes", async () => {
    const abort = new AbortController()
    const identity: Identity = { load: () => new Promise(() => {}) }
    const opening = open({ invite: createInvite(), transports: [], identity, signal: abort.signal })
    setTimeout(() => abort.abort(new Error("changed my mind")), 20)
    await expect(opening).rejects.toThrow("changed my mind")
  })

  test("forgets the signal when the room closes, for one that outlives many", async () => {
    const { signal } = new AbortController()
    for (const name of ["one", "two"]) {
      const room = await open({ invite: topicInvite(name, { secret: "s" }), transports: [], signal })
      expect(getEventListeners(signal, "abort")).toHaveLength(1)
      await room.close()
      expect(getEventListeners(signal, "abort")).toHaveLength(0)
    }
  })

  test("takes a topic in place of an invite, with servers in it", async () => {
    const servers = ["wss://signal.example.org/"]
    expect(parseInvite(topicInvite("kitchen", { servers }))).toMatchObject({ epoch: 0, servers })
    const network = createMemoryNetwork()
    const [ada] = [
      await open({ invite: topicInvite("kitchen", { secret: "s" }), transports: [network.transport()] }),
      await open({ invite: topicInvite("kitchen", { secret: "s" }), transports: [network.transport()] }),
      await open({ invite: topicInvite("kitchen", { secret: "other" }), transports: [network.transport()] }),
    ]
    await until(() => ada.peers.get().length === 1, "the one with the same secret")
    await pause(50)
    expect(ada.peers.get()).toHaveLength(1)
  })
})

test("a device whose key stops to sign hears so at once, and throws at nobody", async () => {
  const network = createMemoryNetwork()
  const invite = createInvite()
  const { publicKey } = await memoryIdentity().load()
  for (const sign of [() => Promise.reject(new Error("token locked")), async () => new Uint8Array(63)]) {
    const identity = { load: async () => ({ publicKey, sign }) }
    const ada = await open({ invite, transports: [network.transport()], identity })
    const bob = await open({ invite, transports: [network.transport()] })
    ada.presence.set({ name: "Ada" })
    const unsigned = (): boolean =>
      ada.diagnostics
        .recent()
        .some((one) => one.type === "stage" && one.detail?.includes("key failed to sign"))
    await until(unsigned, "the failed handshake in words")
    expect(bob.peers.get()).toEqual([])
    await Promise.all([ada.close(), bob.close()])
  }
})

describe("who is not let in", () => {
  test("hears that a peer ended it, not that nobody is there", async () => {
    const network = createMemoryNetwork()
    const invite = createInvite()
    const ada = await open({ invite, transports: [network.transport()], isPeerValid: () => false })
    const bob = await open({ invite, transports: [network.transport()] })
    await until(() => bob.status.get().problem !== null, "a problem")
    expect(bob.status.get().problem).toMatchObject({
      code: "refused",
      message: expect.stringContaining("does not let this device in") as string,
    })
    expect(ada.status.get().problem?.message).toContain("refused-by-isPeerValid")
  })

  test("is nobody who has two connections, of which one is closed", async () => {
    for (let time = 0; time < 20; time++) {
      const networks = [createMemoryNetwork(), createMemoryNetwork(), createMemoryNetwork()]
      const paths: readonly MemoryTransportOptions[] = [{ bound: true }, { bound: false }, { path: "tab" }]
      const transports = (): readonly Transport[] =>
        networks.map((network, at) => network.transport(paths[at]))
      const invite = createInvite()
      const authorize = async (): Promise<"writer"> => {
        await pause(Math.random() * 8)
        return "writer"
      }
      const ada = await open({ invite, transports: transports(), authorize })
      const bob = await open({ invite, transports: transports(), authorize })
      const isByTab = (room: Room): boolean => room.peers.get()[0]?.path === "tab"
      await until(() => isByTab(ada) && isByTab(bob), "the better connection")
      await pause(20)
      expect([...warnings(ada), ...warnings(bob)]).not.toContain("refused-by-peer")
    }
  })
})

test("a transport that throws as it starts fails the room, of which nothing goes on", async () => {
  let starts = 0
  const broken: Transport = {
    name: "broken",
    start() {
      starts++
      throw new Error("no radio")
    },
  }
  const opening = openRoom({
    invite: createInvite(),
    transports: [broken],
    identity: memoryIdentity(),
    clock: hurriedClock(100),
  })
  await expect(opening).rejects.toThrow("no radio")
  await pause(100)
  expect(starts).toBe(1)
})

describe("replicas", () => {
  test("come and go more often than a room carries at a time", async () => {
    const network = createMemoryNetwork()
    const invite = createInvite()
    const ada = await open({ invite, transports: [network.transport()] })
    const bob = await open({ invite, transports: [network.transport()] })
    const theirs = await share(bob)
    for (let time = 0; time < 300; time++) {
      let release = (): void => {}
      const replica = createMemoryReplica({ name: "things" })
      await ada.replicate({
        ...replica,
        attach(host, options) {
          release = host.released
          return replica.attach(host, options)
        },
      })
      release()
    }
    const mine = await share(ada)
    await mine.set("a", { from: "ada" })
    await until(() => theirs.get("a") !== null, "what the last one wrote")
  })

  test("are 256 at a time", async () => {
    const room = await open({ invite: createInvite(), transports: [] })
    for (let n = 0; n < 256; n++) await share(room, `n${n}`)
    await expect(share(room, "one more")).rejects.toMatchObject({ code: "invalid-option" })
  })
})

test("a link stands although another transport connects the same two over and over", async () => {
  const networks = [createMemoryNetwork(), createMemoryNetwork()]
  const invite = createInvite()
  const clock = hurriedClock(20)
  const opened = { ada: 0, bob: 0 }
  const member = (name: keyof typeof opened): Promise<Room> =>
    open({
      invite,
      transports: networks.map((network) => network.transport()),
      clock: { ...clock, monotonic: () => clock.monotonic() * 20 },
      onDiagnostic: ({ type }) => void (opened[name] += Number(type === "link-opened")),
    })
  const [ada, bob] = [await member("ada"), await member("bob")]
  await until(() => ada.peers.get().length === 1 && bob.peers.get().length === 1, "the link")
  await pause(300)
  const before = { ...opened }
  for (let round = 0; round < 10; round++) {
    ada.reconnect()
    await pause(100)
  }
  expect(opened).toEqual(before)
  expect([ada.peers.get().length, bob.peers.get().length]).toEqual([1, 1])
})

test("a link that has died makes way for another transport", async () => {
  const [first, second] = [createMemoryNetwork(), createMemoryNetwork()]
  const invite = createInvite()
  const clock = hurriedClock(20)
  const dying = faulty(first.transport())
  let isThere = false
  const late: Transport = {
    name: "late",
    start: (host) =>
      second.transport({ path: "custom" }).start({ ...host, wantsLinks: () => isThere && host.wantsLinks() }),
  }
  const hurried = { ...clock, monotonic: () => clock.monotonic() * 20 }
  const ada = await open({ invite, transports: [dying, late], clock: hurried })
  const bob = await open({ invite, transports: [first.transport(), late], clock: hurried })
  await until(() => ada.peers.get().length === 1 && bob.peers.get().length === 1, "the link")
  await pause(400)
  dying.set({ offline: true })
  isThere = true
  await until(() => {
    ada.reconnect()
    return [ada, bob].every((room) => room.peers.get()[0]?.path === "custom")
  }, "the link by the other")
})

test("what went wrong with a peer that has gone is no problem any more", async () => {
  let report: TransportHost["report"] = () => {}
  const radio: Transport = {
    name: "radio",
    start(host) {
      report = (one) => host.report(one)
      return { reconnect() {}, stop: async () => {} }
    },
  }
  const room = await open({ invite: createInvite(), transports: [radio] })
  const remote = "bob"
  report({ type: "stage", remote, stage: "ice", outcome: "failed", elapsedMs: 1, detail: "no path" })
  expect(room.status.get().problem?.code).toBe("connection-failed")
  report({ type: "alone" })
  expect(room.status.get().problem).toBeNull()
})

describe("a transport that does not start", () => {
  const broken: Transport = {
    name: "broken",
    start() {
      throw new Error("no radio")
    },
  }
  const counted = (): Transport & { starts: number; stops: number } => ({
    name: "counted",
    starts: 0,
    stops: 0,
    start() {
      this.starts++
      return { reconnect() {}, stop: async () => void this.stops++ }
    },
  })
  const electing = (election: State<ElectionRole>): Transport => ({
    name: "electing",
    elects: true,
    start: () => ({ election, reconnect() {}, stop: async () => {} }),
  })

  test("leaves none running that did", async () => {
    const started = counted()
    await expect(open({ invite: createInvite(), transports: [started, broken] })).rejects.toThrow("no radio")
    await until(() => started.stops === 1, "the stop")
  })

  test("keeps no other from a tab that takes over, and is told of", async () => {
    const election = createState<ElectionRole>("follower")
    const started = counted()
    const room = await open({
      invite: createInvite(),
      transports: [electing(election), broken, started],
    })
    expect(started.starts).toBe(0)
    election.set("holder")
    await until(() => started.starts === 1, "the other transport")
    expect(warnings(room)).toEqual(["transport-failed"])
    await room.close()
    expect(started.stops).toBe(1)
  })
})

test("a transport whose stop hangs keeps no tab that takes over again from starting", async () => {
  const election = createState<ElectionRole>("holder")
  const electing: Transport = {
    name: "electing",
    elects: true,
    start: () => ({ election, reconnect() {}, stop: async () => {} }),
  }
  let [starts, stops] = [0, 0]
  const stuck: Transport = {
    name: "stuck",
    start() {
      starts++
      const stop = (): Promise<void> => {
        stops++
        return new Promise(() => {})
      }
      return { reconnect() {}, stop }
    },
  }
  const clock = hurriedClock(50)
  const room = await open({ invite: createInvite(), transports: [electing, stuck], clock })
  expect(starts).toBe(1)
  election.set("undecided")
  await until(() => stops === 1, "the stop")
  election.set("holder")
  await until(() => starts === 2, "the second start")
  expect(warnings(room)).toEqual(["transport-failed"])
})

test("two transports that elect are refused: they would elect each other", async () => {
  const electing: Transport = {
    name: "electing",
    elects: true,
    start: () => ({ reconnect() {}, stop: async () => {} }),
  }
  const transports = [electing, createMemoryNetwork().transport(), electing]
  await expect(openRoom({ invite: createInvite(), transports })).rejects.toMatchObject({
    code: "invalid-option",
    message: expect.stringContaining("tabs()") as string,
  })
})

test("a room without an invite says what is missing", async () => {
  const nothing = { transports: [] } as unknown as OpenRoomOptions
  await expect(openRoom(nothing)).rejects.toMatchObject({
    code: "bad-invite",
    message: expect.stringContaining("none was given") as string,
  })
})

describe("synced", () => {
  test("rejects with no-peers, in words, when nobody comes", async () => {
    const room = await open({ invite: createInvite(), transports: [], clock: hurriedClock(100) })
    await expect(room.synced()).rejects.toThrow(expect.objectContaining({ code: "no-peers" }) as Error)
  })

  test("waits as long as a signal lets it", async () => {
    const room = await open({ invite: createInvite(), transports: [], clock: hurriedClock(100) })
    const signal = AbortSignal.timeout(600)
    await expect(room.synced({ signal })).rejects.toThrow(
      expect.objectContaining({ name: "TimeoutError" }) as Error,
    )
  })

  test("has one listener on a signal, however many wait with it, and none once they have ended", async () => {
    const rooms = [
      await open({ invite: createInvite(), transports: [] }),
      await open({ invite: createInvite(), transports: [] }),
    ]
    const gone = new AbortController()
    const { signal } = gone
    const waits = rooms.map((room) => Array.from({ length: 12 }, () => room.synced({ signal, peers: 2 })))
    const ended = waits.map((some) => Promise.allSettled(some))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(getEventListeners(signal, "abort")).toHaveLength(2)
    await rooms[0]?.close()
    expect(await ended[0]).toHaveLength(12)
    expect(getEventListeners(signal, "abort")).toHaveLength(1)
    gone.abort(new Error("enough"))
    expect(await ended[1]).toEqual(
      Array.from({ length: 12 }, () => ({ status: "rejected", reason: new Error("enough") })),
    )
    expect(getEventListeners(signal, "abort")).toHaveLength(0)
  })

  test("ends with a replica that leaves the room, and with its own only", async () => {
    const room = await open({ invite: createInvite(), transports: [] })
    const [leaving, staying] = [
      createMemoryReplica({ name: "leaving" }),
      createMemoryReplica({ name: "staying" }),
    ]
    let leave = (): void => {}
    const stay = await room.replicate(staying)
    await room.replicate({
      ...leaving,
      attach(host, options) {
        leave = host.released
        return leaving.attach(host, options)
      },
    })
    const { signal } = new AbortController()
    const waits = [room.synced({ signal }), room.synced()].map((wait) =>
      wait.catch((error: unknown) => error),
    )
    let isOver = false
    void stay.synced({ signal }).catch(() => (isOver = true))
    await new Promise((resolve) => setTimeout(resolve, 20))
    leave()
    for (const wait of waits) expect(await wait).toMatchObject({ code: "replica-closed" })
    expect(isOver).toBe(false)
  })

  test("ends with a replica that leaves while it says what was written", async () => {
    const room = await open({ invite: createInvite(), transports: [] })
    const inner = createMemoryReplica({ name: "leaving" })
    let leave = (): void => {}
    let flushed = (): void => {}
    await room.replicate({
      ...inner,
      async attach(host, options) {
        leave = host.released
        const flush = (): Promise<void> => new Promise((resolve) => (flushed = resolve))
        return { ...(await inner.attach(host, options)), flush }
      },
    })
    const wait = room.synced({ signal: new AbortController().signal })
    await new Promise((resolve) => setTimeout(resolve, 10))
    leave()
    await new Promise((resolve) => setTimeout(resolve, 10))
    flushed()
    await expect(wait).rejects.toMatchObject({ code: "replica-closed" })
  })

  test("ends with the room", async () => {
    const room = await open({ invite: createInvite(), transports: [] })
    const waiting = expect(room.synced()).rejects.toThrow(
      expect.objectContaining({ code: "closed" }) as Error,
    )
    await room.close()
    await waiting
  })
})

describe("closing", () => {
  test("is idempotent, ends everything, and says so to the others", async () => {
    const network = createMemoryNetwork()
    const invite = createInvite()
    const [ada, bob] = [
      await open({ invite, transports: [network.transport()] }),
      await open({ invite, transports: [network.transport()] }),
    ]
    await until(() => bob.peers.get().length === 1, "the link")
    await Promise.all([ada.close(), ada.close()])
    await ada.close()
    expect(ada.status.get()).toMatchObject({ phase: "closed", peers: 0, problem: null })
    expect(ada.peers.get()).toEqual([])
    await until(() => bob.peers.get().length === 0, "Bob to notice")
    await expect(share(ada)).rejects.toThrow(RoomError)
    await expect(ada.synced()).rejects.toThrow(RoomError)
    expect(() => ada.reconnect()).not.toThrow()
  })

  test("ends by `await using`", async () => {
    let kept: Room
    {
      await using room = await openRoom({
        invite: createInvite(),
        transports: [],
        identity: memoryIdentity(),
      })
      kept = room
    }
    expect(kept.status.get().phase).toBe("closed")
  })

  test("lets a replica go to another room", async () => {
    const replica = createMemoryReplica({ name: "things" })
    const [one, two] = [
      await open({ invite: createInvite(), transports: [] }),
      await open({ invite: createInvite(), transports: [] }),
    ]
    await one.replicate(replica)
    await expect(two.replicate(replica)).rejects.toThrow(
      expect.objectContaining({ code: "replica-in-use" }) as Error,
    )
    await one.close()
    await two.replicate(replica)
  })

  test("says to replicate() that the room is closed, whatever its transports do as they stop", async () => {
    for (const stop of [() => Promise.reject(new Error("no stop")), () => new Promise<void>(() => {})]) {
      const transport: Transport = { name: "stuck", start: () => ({ stop, reconnect() {} }) }
      const room = await openRoom({
        invite: createInvite(),
        identity: memoryIdentity(),
        transports: [transport],
      })
      room.close().catch(() => {})
      const late = room.replicate(createMemoryReplica({ name: "late" }))
      await expect(late).rejects.toMatchObject({ code: "closed" })
    }
  })

  test.each<[string, () => Promise<void>]>([
    ["rejects", () => Promise.reject(new Error("no stop"))],
    [
      "throws",
      () => {
        throw new Error("no stop")
      },
    ],
    ["hangs", () => new Promise(() => {})],
  ])("ends where the stop of a transport %s", async (_, stop) => {
    const transport: Transport = { name: "stuck", start: () => ({ stop, reconnect() {} }) }
    const room = await open({ invite: createInvite(), transports: [transport], clock: hurriedClock(100) })
    await room.close()
    expect(room.status.get().phase).toBe("closed")
    expect(warnings(room)).toEqual(["transport-failed"])
  })

  test("does not wait for ever for a replica that does not detach, and says so", async () => {
    const replica = createMemoryReplica({ name: "stuck" })
    const stuck: typeof replica = {
      ...replica,
      attach: async (...options) => ({
        ...(await replica.attach(...options)),
        detach: () => new Promise<void>(() => {}),
      }),
    }
    const room = await open({ invite: createInvite(), transports: [], clock: hurriedClock(200) })
    await room.replicate(stuck)
    await room.close()
    expect(room.status.get().phase).toBe("closed")
    expect(room.diagnostics.recent()).toContainEqual(
      expect.objectContaining({
        type: "replica",
        replica: "stuck",
        report: expect.objectContaining({ type: "warning" }) as unknown,
      }),
    )
  })

  test("frees the replicas before replicate() rejects, which were on their way and those that were there", async () => {
    const [there, coming] = [createMemoryReplica({ name: "there" }), createMemoryReplica({ name: "coming" })]
    const slowly = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50))
    const slow: typeof there = {
      ...there,
      async attach(...options) {
        const attached = await there.attach(...options)
        return { ...attached, detach: () => slowly().then(() => attached.detach()) }
      },
    }
    const late: typeof coming = {
      ...coming,
      async attach(...options) {
        const attached = await coming.attach(...options)
        await slowly()
        return attached
      },
    }
    const unmounting = new AbortController()
    const { signal } = unmounting
    const one = await open({ invite: createInvite(), transports: [], signal })
    await one.replicate(slow)
    const pending = one.replicate(late).catch((error: unknown) => error)
    unmounting.abort()
    const next = one.replicate(createMemoryReplica({ name: "next" }))
    await expect(next).rejects.toMatchObject({ code: "closed" })
    const two = await open({ invite: createInvite(), transports: [] })
    await two.replicate(there)
    expect(await pending).toMatchObject({ code: "closed" })
    await two.replicate(coming)
  })
})

describe("diagnostics", () => {
  test("keep the last findings, tell listeners, and survive those that throw", async () => {
    const network = createMemoryNetwork()
    const invite = createInvite()
    const told: Diagnostic[] = []
    const ada = await open({
      invite,
      transports: [network.transport()],
      onDiagnostic: (diagnostic) => told.push(diagnostic),
    })
    const unsubscribe = ada.diagnostics.subscribe(() => unsubscribe())
    await open({ invite, transports: [network.transport()] })
    await until(() => told.some(({ type }) => type === "link-opened"), "the link")
    const steps = told.flatMap((finding) =>
      finding.type === "stage" ? `${finding.stage} ${finding.outcome}` : [],
    )
    expect(steps).toEqual(["handshake started", "handshake passed"])
    expect(ada.diagnostics.recent()).toEqual(told)
    expect([...ada.diagnostics.counters().values()][0]?.framesOut).toBeGreaterThan(0)
  })
})

test("a pipe that never speaks is given up, in words", async () => {
  const silent: Pipe = {
    path: "custom",
    role: "undecided",
    binding: null,
    maxMessageBytes: 65_536,
    remote: "silent",
    open: () => {},
    send: () => {},
    buffered: () => 0,
    close: () => {},
  }
  const transport: Transport = {
    name: "silent",
    start(host) {
      host.connected(silent)
      return { reconnect: () => {}, stop: () => Promise.resolve() }
    },
  }
  const room = await open({ invite: createInvite(), transports: [transport], clock: hurriedClock(100) })
  await until(() => warnings(room).includes("handshake-timeout"), "the deadline")
  const failed = room.diagnostics
    .recent()
    .find((finding) => finding.type === "stage" && finding.outcome === "failed")
  expect(failed).toMatchObject({ stage: "handshake", detail: "no answer to the handshake within 10 s" })
})

test("pipes beyond what can be greeted at once wait, and beyond that are closed", async () => {
  let closed = 0
  const transport: Transport = {
    name: "flood",
    start(host) {
      for (let index = 0; index < 100; index++) {
        host.connected({
          path: "custom",
          role: "undecided",
          binding: null,
          maxMessageBytes: 65_536,
          remote: `flood ${index}`,
          open: () => {},
          send: () => {},
          buffered: () => 0,
          close: () => void (closed += 1),
        })
      }
      return { reconnect: () => {}, stop: () => Promise.resolve() }
    },
  }
  const room = await open({ invite: createInvite(), transports: [transport] })
  expect(closed).toBe(100 - 8 - 32)
  expect(warnings(room).filter((code) => code === "handshake-queue-full")).toHaveLength(60)
  await room.close()
  expect(closed).toBe(100)
})
