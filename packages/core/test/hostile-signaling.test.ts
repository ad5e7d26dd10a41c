import * as wrtc from "node-datachannel/polyfill"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { deriveRoomKeys, type RoomKeys } from "../src/crypto/key-schedule.ts"
import type { Transport } from "../src/ports/transport.ts"
import { createInvite, readInvite } from "../src/room/invite.ts"
import type { Diagnostic } from "../src/room/room.ts"
import { webrtc } from "../src/webrtc/index.ts"
import { createInterceptor, type Interceptor } from "./interceptor.ts"
import { type Member, openMember, until } from "./room-pair.ts"
import { type ScriptedSignaling, type Signal, startScriptedSignaling } from "./scripted-signaling.ts"

const SECRET = "what nobody between may read"

let server: ScriptedSignaling
let invite: string
let keys: RoomKeys
let diagnostics: Diagnostic[]
const closing: { close(): Promise<void> | void }[] = []
beforeEach(async () => {
  server = await startScriptedSignaling()
  invite = createInvite()
  keys = await deriveRoomKeys(readInvite(invite))
  diagnostics = []
})
afterEach(async () => {
  for (const thing of closing.splice(0).reverse()) await thing.close()
  await server.close()
})

const join = async (transport: Transport = webrtc({ wrtc, signaling: server.url })): Promise<Member> => {
  const member = await openMember(
    { invite, transports: [transport], onDiagnostic: (diagnostic) => diagnostics.push(diagnostic) },
    { signaling: server.url },
  )
  closing.push(member.room)
  return member
}

const codes = (): string[] =>
  diagnostics.flatMap((diagnostic) => {
    if (diagnostic.type === "warning") return diagnostic.code
    if (diagnostic.type !== "transport" || diagnostic.report.type !== "warning") return []
    return diagnostic.report.code
  })

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Once the server is honest, the two find each other, whatever it did before. */
async function expectHonestConnection(ada: Member, bob: Member): Promise<void> {
  server.script((signal, deliver) => deliver(signal))
  ada.room.reconnect()
  bob.room.reconnect()
  await ada.things.set("after", { all: "well" })
  await until(() => bob.things.get("after") !== null, "the entry after the server behaved", 60_000)
  expect(ada.room.peers.get()).toMatchObject([{ device: bob.room.device }])
}

test("the server sees neither addresses nor certificates nor who is who", async () => {
  const [ada, bob] = [await join(), await join()]
  await until(() => ada.room.peers.get().length === 1, "a link")
  expect(server.seen.length).toBeGreaterThan(2)
  const text = Buffer.concat(server.seen.map(({ blob }) => blob)).toString("latin1")
  for (const telling of ["fingerprint", "candidate", "127.0.0.1", "v=0", "a="]) {
    // Two letters can come up by chance, a word cannot.
    if (telling.length > 3) expect(text).not.toContain(telling)
  }
  for (const id of [ada.room.session, ada.room.device, bob.room.session, bob.room.device]) {
    expect(text).not.toContain(Buffer.from(id, "hex").toString("latin1"))
  }
  expect(new Set(server.topics).size).toBe(1)
})

describe("a server that tampers with sealed signals gets nobody connected to anything else", () => {
  const scripts: Record<string, (signal: Signal, deliver: (signal: Signal) => void) => void> = {
    "changes a byte of each": (signal, deliver) => {
      const blob = signal.blob.slice()
      blob[100] = (blob[100] ?? 0) ^ 1
      deliver({ ...signal, blob })
    },
    "sends them back to their sender": (signal, deliver) =>
      deliver({ from: signal.to, to: signal.from, blob: signal.blob }),
    "says they come from somebody else": (signal, deliver) =>
      deliver({ ...signal, from: new Uint8Array(16).fill(7) }),
    "forges them": (signal, deliver) =>
      deliver({ ...signal, blob: crypto.getRandomValues(new Uint8Array(signal.blob.length)) }),
    "cuts them": (signal, deliver) => deliver({ ...signal, blob: signal.blob.slice(0, 60) }),
    "drops them": () => {},
  }
  for (const [name, script] of Object.entries(scripts)) {
    test(name, async () => {
      server.script(script)
      const [ada, bob] = [await join(), await join()]
      // After this long an attempt counts as stuck, and a reconnect starts a new one.
      await pause(2_100)
      expect(ada.room.peers.get()).toEqual([])
      expect(bob.room.peers.get()).toEqual([])
      await expectHonestConnection(ada, bob)
    })
  }
})

test("signals that are repeated are dropped, each with a reason, and the connection stands", async () => {
  server.script((signal, deliver) => {
    for (let count = 0; count < 5; count++) deliver(signal)
  })
  const [ada, bob] = [await join(), await join()]
  await until(() => ada.room.peers.get().length === 1, "a link in spite of it")
  await pause(100)
  expect(codes()).toContain("signal-replayed")
  expect(ada.room.peers.get()).toMatchObject([{ device: bob.room.device }])
})

test("signals of an earlier session mean nothing to a later one", async () => {
  const first = [await join(), await join()]
  await until(() => first[0]?.room.peers.get().length === 1, "a link")
  const earlier = [...server.seen]
  for (const member of first) await member.room.close()
  server.script((signal, deliver) => {
    for (const old of earlier) deliver({ ...old, to: signal.to, from: signal.from })
    deliver(signal)
  })
  const [ada, bob] = [await join(), await join()]
  await until(() => ada.room.peers.get().length === 1, "a link of the new sessions")
  expect(codes().filter((code) => code === "signal-wrong-sender").length).toBeGreaterThan(0)
  expect(ada.room.peers.get()).toMatchObject([{ session: bob.room.session }])
})

test("signals that come in another order at worst delay the connection", async () => {
  const held: Signal[] = []
  server.script((signal, deliver) => {
    held.push(signal)
    if (held.length < 4) return
    for (const late of held.splice(0).reverse()) deliver(late)
  })
  const [ada, bob] = [await join(), await join()]
  await pause(2_100)
  await expectHonestConnection(ada, bob)
})

test("a flood of forged signals neither connects nor stops a member", async () => {
  const [ada, bob] = [await join(), await join()]
  await until(() => ada.room.peers.get().length === 1, "a link")
  const [real] = server.seen
  if (real === undefined) throw new Error("no signal was seen")
  for (let count = 0; count < 20_000; count++) {
    server.deliver({ ...real, blob: crypto.getRandomValues(new Uint8Array(578)) })
  }
  await ada.things.set("meanwhile", { still: "here" })
  await until(() => bob.things.get("meanwhile") !== null, "an entry during the flood")
  expect(ada.room.peers.get()).toHaveLength(1)
})

describe("a server in the middle with certificates of its own", () => {
  const intercept = (): Interceptor => {
    const { signalKey, topic, epoch } = keys
    const interceptor = createInterceptor({ context: { signalKey, topic, epoch }, deliver: server.deliver })
    closing.push(interceptor)
    server.script((signal) => interceptor.intercept(signal))
    return interceptor
  }

  test("that could open the signals is caught by the handshake, and nothing is said to it", async () => {
    const interceptor = intercept()
    const [ada, bob] = [await join(), await join()]
    await ada.things.set("secret", { text: SECRET })
    await until(() => codes().includes("handshake-wrong-key"), "the handshake to fail")
    expect(interceptor.opened).toBeGreaterThanOrEqual(2)
    expect(ada.room.peers.get()).toEqual([])
    expect(bob.room.peers.get()).toEqual([])
    expect(Buffer.concat(interceptor.overheard).toString("latin1")).not.toContain(SECRET)
    // Whichever side finds out first tells the other only by hanging up.
    await until(() => ada.room.status.get().problem?.code === "refused", "the word about it")
    await expectHonestConnection(ada, bob)
  })

  test("reads everything once the handshake is not bound to certificates: the attack is a real one", async () => {
    const interceptor = intercept()
    const [ada, bob] = [await join(unbound(server.url)), await join(unbound(server.url))]
    await ada.things.set("secret", { text: SECRET })
    await until(() => bob.things.get("secret") !== null, "the entry to come through the middle")
    expect(Buffer.concat(interceptor.overheard).toString("latin1")).toContain(SECRET)
  })
})

/** WebRTC as it would be if nobody looked at fingerprints. */
function unbound(url: string): Transport {
  const inner = webrtc({ wrtc, signaling: url })
  const nothing = new Uint8Array(32)
  return {
    name: "unbound",
    start: (host) =>
      inner.start({
        ...host,
        connected: (pipe) =>
          host.connected(
            Object.create(pipe, { binding: { value: { local: nothing, remote: nothing } } }) as typeof pipe,
          ),
      }),
  }
}
