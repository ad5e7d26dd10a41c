import { randomBytes } from "node:crypto"
import { describe, expect, test } from "vitest"
import { useHosts } from "./host-fixture.ts"
import { pause, type SignalingClient, somePeer, someTopic, until } from "./signaling-client.ts"

const { start, connect } = useHosts()
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b)

describe("a room", () => {
  test("its members learn of each other and reach each other, and nobody else", async () => {
    const host = await start({ stunUrls: ["stun:stun.example.org:3478"] })
    const topic = someTopic()
    const [a, b, outsider] = [await connect(host), await connect(host), await connect(host)]
    const first = await a.joined({ topic })
    expect(first).toMatchObject({ resumed: false, peers: [], graceMs: 15_000, tokenExpiresInMs: 0 })
    expect(first.limits).toEqual({
      maxFrameBytes: 32_768,
      messagesPerSecond: 20,
      messageBurst: 100,
      bytesPerSecond: 65_536,
      byteBurst: 262_144,
      maxTopics: 8,
      maxPeers: 64,
      heartbeatMs: 25_000,
    })
    expect(first.ice.servers).toEqual([
      { urls: ["stun:stun.example.org:3478"], username: "", credential: "" },
    ])
    const second = await b.joined({ topic, channel: 9 })
    await outsider.joined()
    expect(second.peers.map((peer) => same(peer, a.peer))).toEqual([true])
    const presence = await a.next("presence")
    expect(presence.joined.map((peer) => same(peer, b.peer))).toEqual([true])

    a.send({ type: "signal", channel: 1, to: b.peer, blob: bytes("offer") })
    const offer = await b.next("signal")
    expect([offer.channel, Buffer.from(offer.blob).toString(), same(offer.from, a.peer)]).toEqual([
      9,
      "offer",
      true,
    ])
    b.send({ type: "signal", channel: 9, to: a.peer, blob: bytes("answer") })
    expect(Buffer.from((await a.next("signal")).blob).toString()).toBe("answer")

    outsider.send({ type: "signal", channel: 1, to: a.peer, blob: bytes("hello?") })
    expect(await outsider.next("unreachable")).toMatchObject({ reason: "gone" })
    b.send({ type: "leave", channel: 9 })
    expect(await b.next("left")).toEqual({ type: "left", channel: 9 })
    expect((await a.next("presence")).left.map((peer) => same(peer, b.peer))).toEqual([true])
    b.send({ type: "signal", channel: 9, to: a.peer, blob: bytes("late") })
    expect(await b.next("error")).toMatchObject({ channel: 9, code: "not-joined" })
    expect(a.unread).toEqual([])
    expect(outsider.unread).toEqual([])
  })

  test("a blob of any bytes arrives as it was sent, up to the largest frame", async () => {
    const host = await start()
    const topic = someTopic()
    const [a, b] = [await connect(host), await connect(host)]
    await a.joined({ topic })
    await b.joined({ topic })
    // A WebSocket header changes at 126 bytes of payload, of which the signal itself takes 20.
    for (const size of [1, 104, 105, 106, 107, 700, 32_768 - 20]) {
      const blob = randomBytes(size)
      a.send({ type: "signal", channel: 1, to: b.peer, blob })
      expect(same((await b.next("signal")).blob, blob)).toBe(true)
    }
  })

  test("what a socket sends at once arrives in its order, of whatever kind", async () => {
    const host = await start({ socketMessageBurst: 1000 })
    const [a, b] = [await connect(host), await connect(host)]
    const topic = someTopic()
    await a.joined({ topic })
    await b.joined({ topic })
    for (let nonce = 1; nonce <= 50; nonce++) {
      for (const to of [a.peer, b.peer, a.peer]) {
        a.send({ type: "signal", channel: 1, to, blob: Uint8Array.of(nonce) })
      }
      a.send({ type: "ping", nonce })
    }
    const seenBy = ({ unread }: SignalingClient): unknown[] =>
      unread.flatMap((message): unknown[] => {
        if (message.type === "signal") return [message.blob[0]]
        return message.type === "pong" ? [message] : []
      })
    await until(() => seenBy(a).length === 150 && seenBy(b).length === 50, "all has arrived")
    const nonces = Array.from({ length: 50 }, (_, index) => index + 1)
    expect(seenBy(a)).toEqual(nonces.flatMap((nonce) => [nonce, nonce, { type: "pong", nonce }]))
    expect(seenBy(b)).toEqual(nonces)
  })

  test("one socket is in several topics, each on its channel", async () => {
    const host = await start()
    const [topicA, topicB] = [someTopic(), someTopic()]
    const [a, b] = [await connect(host), await connect(host)]
    await a.joined({ topic: topicA, channel: 1 })
    await a.joined({ topic: topicB, channel: 2 })
    await b.joined({ topic: topicB, channel: 1 })
    b.send({ type: "signal", channel: 1, to: a.peer, blob: bytes("b") })
    expect(await a.next("signal")).toMatchObject({ channel: 2 })
    for (let channel = 3; channel <= 8; channel++) await a.joined({ channel })
    expect(await a.join({ channel: 9 })).toMatchObject({ code: "too-many-topics" })
    expect(host.stats()).toMatchObject({ sockets: 2, topics: 8, members: 9 })
  })

  test("ping is answered, with its nonce", async () => {
    const client = await connect(await start())
    client.send({ type: "ping", nonce: 77 })
    expect(await client.next("pong")).toEqual({ type: "pong", nonce: 77 })
  })
})

describe("coming and going", () => {
  test("a broken socket that comes back in time is not noticed", async () => {
    const host = await start()
    const topic = someTopic()
    const [a, b] = [await connect(host), await connect(host)]
    await a.joined({ topic })
    const { resume } = await b.joined({ topic })
    await a.next("presence")
    b.socket.terminate()
    await until(() => host.stats().sockets === 1, "the broken socket is gone")
    a.send({ type: "signal", channel: 1, to: b.peer, blob: bytes("anyone?") })
    expect(await a.next("unreachable")).toMatchObject({ reason: "away" })

    const again = await connect(host)
    const back = await again.joined({ topic, peer: b.peer, resume })
    expect(back.resumed).toBe(true)
    expect(same(back.resume, resume)).toBe(false)
    a.send({ type: "signal", channel: 1, to: b.peer, blob: bytes("welcome back") })
    expect(Buffer.from((await again.next("signal")).blob).toString()).toBe("welcome back")
    expect(a.unread).toEqual([])
  })

  test("one that does not come back is told of after the grace", async () => {
    const host = await start({ graceMs: 300 })
    const topic = someTopic()
    const [a, b] = [await connect(host), await connect(host)]
    await a.joined({ topic })
    await b.joined({ topic })
    await a.next("presence")
    b.socket.terminate()
    expect((await a.next("presence")).left.map((peer) => same(peer, b.peer))).toEqual([true])
    expect(host.stats().members).toBe(1)
  })

  test.each([1000, 1001])("a socket closed with %i has left at once", async (code) => {
    const host = await start()
    const topic = someTopic()
    const [a, b] = [await connect(host), await connect(host)]
    await a.joined({ topic })
    await b.joined({ topic })
    await a.next("presence")
    b.socket.close(code)
    expect((await a.next("presence")).left).toHaveLength(1)
  })

  test("a session moves to a new socket while the old one still looks alive", async () => {
    const host = await start()
    const topic = someTopic()
    const [a, old, fresh] = [await connect(host), await connect(host), await connect(host)]
    await a.joined({ topic })
    const { resume } = await old.joined({ topic })
    await a.next("presence")
    expect((await fresh.joined({ topic, peer: old.peer, resume })).resumed).toBe(true)
    expect(await old.next("error")).toMatchObject({ channel: 1, code: "replaced" })
    old.send({ type: "signal", channel: 1, to: a.peer, blob: bytes("ghost") })
    expect(await old.next("error")).toMatchObject({ code: "not-joined" })
    old.socket.terminate()
    await pause(200)
    expect(a.unread).toEqual([])
  })

  test("nobody steals a peer id", async () => {
    const host = await start()
    const topic = someTopic()
    const [a, thief] = [await connect(host), await connect(host)]
    const { resume } = await a.joined({ topic })
    expect(await thief.join({ topic, peer: a.peer })).toMatchObject({ code: "peer-id-taken" })
    const wrong = await thief.join({ topic, channel: 2, peer: a.peer, resume: randomBytes(16) })
    expect(wrong).toMatchObject({ code: "peer-id-taken" })
    // The secret of one room opens no other.
    expect(await thief.join({ channel: 3, peer: a.peer, resume })).toMatchObject({ resumed: false })
  })

  test("a resume is good for one: of two who present it at once, one gets in", async () => {
    const host = await start()
    const topic = someTopic()
    const a = await connect(host)
    const { resume } = await a.joined({ topic })
    const rivals = [await connect(host), await connect(host)]
    const answers = await Promise.all(rivals.map((rival) => rival.join({ topic, peer: a.peer, resume })))
    expect(answers.map((answer) => (answer.type === "joined" ? "joined" : answer.code)).toSorted()).toEqual([
      "joined",
      "peer-id-taken",
    ])
    expect(host.stats().members).toBe(1)
  })

  test("a stale resume is a new session, not an error", async () => {
    const host = await start({ graceMs: 0 })
    const topic = someTopic()
    const [a, b] = [await connect(host), await connect(host)]
    const { resume } = await a.joined({ topic })
    a.socket.terminate()
    await until(() => host.stats().members === 0, "the session has ended")
    expect(await b.join({ topic, peer: a.peer, resume })).toMatchObject({ type: "joined", resumed: false })
  })

  test.each(["channel", "topic"])("the same %s twice on one socket ends it", async (twice) => {
    const host = await start()
    const client = await connect(host)
    const topic = someTopic()
    await client.joined({ topic, channel: 1 })
    client.send({
      type: "join",
      channel: twice === "channel" ? 1 : 2,
      topic: twice === "topic" ? topic : someTopic(),
      peer: somePeer(),
      resume: null,
      token: "",
    })
    expect(await client.next("error")).toMatchObject({ channel: 0, code: "channel-in-use" })
    expect((await client.closed).code).toBe(4400)
    await until(() => host.stats().members === 0 && host.stats().topics === 0, "its memberships are gone")
  })

  test("leaving and joining again on a new channel works", async () => {
    const host = await start()
    const client = await connect(host)
    const topic = someTopic()
    await client.joined({ topic, channel: 1 })
    client.send({ type: "leave", channel: 1 })
    expect(await client.join({ topic, channel: 2 })).toMatchObject({ type: "joined" })
    expect(host.stats()).toMatchObject({ members: 1, topics: 1 })
  })
})
