import { connect as connectTcp } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { describe, expect, test } from "vitest"
import { metric, useHosts } from "./host-fixture.ts"
import { refusedUpgrade, someTopic, until } from "./signaling-client.ts"

const { start, connect } = useHosts()
const blob = new Uint8Array(100)

describe("a socket", () => {
  test("joins in time or is closed", async () => {
    const host = await start({ joinDeadlineMs: 200 })
    const client = await connect(host)
    expect(await client.next("error")).toMatchObject({ channel: 0, code: "join-timeout" })
    expect((await client.closed).code).toBe(4401)
  })

  test("sends small frames until it has joined, and no large ones ever", async () => {
    const host = await start()
    const early = await connect(host)
    early.sendBytes(new Uint8Array(1025))
    expect(await early.next("error")).toMatchObject({ channel: 0, code: "frame-too-large" })
    expect((await early.closed).code).toBe(1009)

    const joined = await connect(host)
    await joined.joined()
    joined.sendBytes(new Uint8Array(32_769))
    expect((await joined.closed).code).toBe(1009)
  })

  test("in no topic for too long is closed", async () => {
    const host = await start({ idleMs: 200 })
    const client = await connect(host)
    await client.joined()
    client.send({ type: "leave", channel: 1 })
    expect(await client.next("error")).toMatchObject({ channel: 0, code: "idle" })
    expect((await client.closed).code).toBe(4408)
  })

  test("that does not answer pings is cut, and gets its grace", async () => {
    const host = await start({ heartbeatMs: 100, heartbeatGraceMs: 200 })
    const alive = await connect(host)
    await alive.joined()
    const dead = await connect(host, { autoPong: false })
    await dead.joined()
    expect((await dead.closed).code).toBe(1006)
    await until(() => host.stats().sockets === 1, "the host has noticed")
    expect(host.stats().members).toBe(2)
    await sleep(500)
    expect(host.stats().sockets).toBe(1)
  })

  test("above its rate loses messages, and is closed when it goes on", async () => {
    const host = await start()
    const topic = someTopic()
    const [a, b] = [await connect(host), await connect(host)]
    await a.joined({ topic })
    await b.joined({ topic })
    for (let index = 0; index < 120; index++) a.send({ type: "signal", channel: 1, to: b.peer, blob })
    const error = await a.next("error")
    expect(error).toMatchObject({ channel: 1, code: "rate-limited" })
    expect(error.type === "error" && error.retryMs).toBeGreaterThan(0)
    for (let index = 0; index < 200; index++) a.send({ type: "signal", channel: 1, to: b.peer, blob })
    expect((await a.closed).code).toBe(4429)
    const signals = b.unread.filter(({ type }) => type === "signal").length
    expect(signals).toBeGreaterThanOrEqual(99)
    expect(signals).toBeLessThan(140)
    expect(await metric(host, 'dunlin_rate_limited_total{scope="socket"}')).toBeGreaterThan(20)
    // A flooder leaves at once, since others would bear its grace time.
    await until(() => host.stats().members === 1, "the flooder has left")
  })

  test("may not flood with pings either", async () => {
    const host = await start()
    const client = await connect(host)
    await client.joined()
    for (let index = 0; index < 400; index++) client.socket.ping("x")
    expect((await client.closed).code).toBe(4429)
    const other = await connect(host)
    await other.joined()
    for (let index = 0; index < 400; index++) other.socket.pong("x")
    expect((await other.closed).code).toBe(4429)
  })

  test("above its bytes loses messages, and is closed when it goes on", async () => {
    const host = await start()
    const topic = someTopic()
    const [a, b] = [await connect(host), await connect(host)]
    await a.joined({ topic })
    await b.joined({ topic })
    for (let index = 0; index < 20; index++) {
      a.send({ type: "signal", channel: 1, to: b.peer, blob: new Uint8Array(32_000) })
    }
    expect((await a.closed).code).toBe(4429)
    expect(b.unread.filter(({ type }) => type === "signal").length).toBeLessThanOrEqual(9)
  })

  test("may not ask for TURN credentials again and again", async () => {
    const host = await start({ turnUrls: ["turn:t.example.org"], turnSecret: "s" })
    const client = await connect(host)
    client.send({ type: "ice-request" })
    await client.joined()
    for (let index = 0; index < 10; index++) client.send({ type: "ice-request" })
    client.send({ type: "ping", nonce: 1 })
    await client.next("pong")
    expect(client.unread.filter(({ type }) => type === "ice")).toHaveLength(5)
    expect(await metric(host, 'dunlin_rate_limited_total{scope="turn"}')).toBe(5)
  })

  test("gets no more TURN credentials by joining again and again, and can join nevertheless", async () => {
    const host = await start({ turnUrls: ["turn:t.example.org"], turnSecret: "s" })
    const client = await connect(host)
    const usernames = new Set<string>()
    for (let channel = 1; channel <= 20; channel++) {
      const { ice } = await client.joined({ channel })
      expect(ice.expiresInMs).toBeGreaterThan(3_590_000)
      usernames.add(ice.servers[0]?.username ?? "")
      client.send({ type: "leave", channel })
    }
    expect(usernames.size).toBeLessThanOrEqual(5)
  })
})

describe("a room", () => {
  test("takes so many members", async () => {
    const host = await start({ roomMaxSockets: 3 })
    const topic = someTopic()
    for (let index = 0; index < 3; index++) await (await connect(host)).joined({ topic })
    const answer = await (await connect(host)).join({ topic })
    expect(answer).toMatchObject({ code: "room-full", retryMs: 30_000 })
    expect(await (await connect(host)).join()).toMatchObject({ type: "joined" })
  })

  test("sends so much as a whole, and other rooms do not suffer", async () => {
    const host = await start({ roomMessagesPerSecond: 10, roomMessageBurst: 10 })
    const topic = someTopic()
    const [a, b] = [await connect(host), await connect(host)]
    await a.joined({ topic })
    await b.joined({ topic })
    for (let index = 0; index < 30; index++) a.send({ type: "signal", channel: 1, to: b.peer, blob })
    expect(await a.next("error")).toMatchObject({ channel: 1, code: "rate-limited" })
    await until(() => b.unread.length > 9, "the burst has arrived")
    expect(b.unread.filter(({ type }) => type === "signal").length).toBeLessThan(25)
    const other = someTopic()
    await a.joined({ topic: other, channel: 2 })
    await b.joined({ topic: other, channel: 2 })
    b.unread.length = 0
    a.send({ type: "signal", channel: 2, to: b.peer, blob })
    expect(await b.next("signal")).toMatchObject({ channel: 2 })
  })
})

describe("an address", () => {
  test("gets no more TURN credentials by connecting again and again, and every socket gets some", async () => {
    const host = await start({ turnUrls: ["turn:t.example.org"], turnSecret: "s" })
    const usernames = new Set<string>()
    for (let index = 0; index < 20; index++) {
      const client = await connect(host)
      const { ice } = await client.joined()
      expect(ice.expiresInMs).toBeGreaterThan(3_590_000)
      usernames.add(ice.servers[0]?.username ?? "")
      for (let request = 0; request < 5; request++) client.send({ type: "ice-request" })
      client.send({ type: "ping", nonce: 1 })
      await client.next("pong")
      for (const message of client.unread)
        if (message.type === "ice") usernames.add(message.ice.servers[0]?.username ?? "")
      client.socket.close(1000)
      await client.closed
    }
    // The first, and five that were asked for.
    expect([...usernames].every((username) => username !== "")).toBe(true)
    expect(usernames.size).toBe(6)
  })

  test("of which one socket has asked for new TURN credentials gives these to the next that asks", async () => {
    const host = await start({
      turnUrls: ["turn:t.example.org"],
      turnSecret: "s",
      turnRequestsPerMinute: 1,
    })
    const [first, second] = [await connect(host), await connect(host)]
    const { ice: old } = await first.joined()
    expect((await second.joined()).ice.servers).toEqual(old.servers)
    first.send({ type: "ice-request" })
    const { ice: fresh } = await first.next("ice")
    expect(fresh.servers).not.toEqual(old.servers)
    second.send({ type: "ice-request" })
    expect((await second.next("ice")).ice.servers).toEqual(fresh.servers)
    second.send({ type: "ice-request" })
    second.send({ type: "ping", nonce: 1 })
    await second.next("pong")
    expect(second.unread.filter(({ type }) => type === "ice")).toEqual([])
  })

  test("that keeps its sockets gets new TURN credentials before the old ones expire", async () => {
    const host = await start({
      turnUrls: ["turn:t.example.org"],
      turnSecret: "s",
      turnTtlSeconds: 10,
    })
    const [first, second] = [await connect(host), await connect(host)]
    const { ice: old } = await first.joined()
    await second.joined()
    const [one, other] = [await first.next("ice"), await second.next("ice")]
    expect(one.ice.servers).not.toEqual(old.servers)
    expect(other.ice.servers).toEqual(one.ice.servers)
    expect(one.ice.expiresInMs).toBeGreaterThan(5_000)
  }, 60_000)

  test("opens so many sockets at once", async () => {
    const host = await start({ addressConnectionBurst: 5, addressConnectionsPerSecond: 1 })
    for (let index = 0; index < 5; index++) await connect(host)
    expect((await refusedUpgrade(host.url)).status).toBe(429)
    await sleep(1_200)
    await connect(host)
    expect(await metric(host, 'dunlin_rate_limited_total{scope="address"}')).toBe(1)
  })

  test("has so many sockets at a time", async () => {
    const host = await start({ addressMaxConnections: 3 })
    const clients = [await connect(host), await connect(host), await connect(host)]
    expect(await refusedUpgrade(host.url)).toMatchObject({ status: 429 })
    clients[0]?.socket.close()
    await until(() => host.stats().sockets === 2, "one is gone")
    await connect(host)
  })

  test("is blocked after too many failed joins, and another is not", async () => {
    const host = await start({
      addressFailedJoinsPerMinute: 5,
      authorizeJoin: ({ token }) => token === "let me in",
      trustedProxies: ["127.0.0.1"],
    })
    const from = (address: string): { headers: Record<string, string> } => ({
      headers: { "x-forwarded-for": address },
    })
    const guesser = await connect(host, from("203.0.113.1"))
    for (let channel = 1; channel <= 6; channel++) {
      expect(await guesser.join({ channel, token: `guess ${channel}` })).toMatchObject({ code: "forbidden" })
    }
    expect(await guesser.join({ channel: 7, token: "let me in" })).toMatchObject({ code: "blocked" })
    expect((await refusedUpgrade(host.url, from("203.0.113.1"))).status).toBe(429)
    const neighbour = await connect(host, from("203.0.113.2"))
    expect(await neighbour.join({ token: "let me in" })).toMatchObject({ type: "joined" })
    expect(await metric(host, "dunlin_address_blocks_total")).toBe(1)
    expect(await metric(host, "dunlin_auth_failures_total")).toBe(6)
  })

  test("is not blocked for peer ids that are taken: honest clients ask for one when an answer was lost", async () => {
    const host = await start({ addressFailedJoinsPerMinute: 3 })
    const topic = someTopic()
    const first = await connect(host)
    await first.joined({ topic })
    const again = await connect(host)
    for (let channel = 1; channel <= 8; channel++) {
      const answer = await again.join({ channel, topic, peer: first.peer })
      expect(answer).toMatchObject({ code: "peer-id-taken" })
    }
    expect(await again.join({ channel: 9, topic })).toMatchObject({ type: "joined" })
  })

  test("is blocked after too many malformed frames", async () => {
    const host = await start({ addressFailedJoinsPerMinute: 3 })
    for (let index = 0; index < 4; index++) {
      const client = await connect(host)
      client.sendBytes(new Uint8Array([9]))
      expect((await client.closed).code).toBe(4400)
    }
    expect((await refusedUpgrade(host.url)).status).toBe(429)
  })

  test("is blocked after its sockets have flooded too often", async () => {
    const host = await start({ addressFailedJoinsPerMinute: 3, socketMessageBurst: 5 })
    for (let index = 0; index < 4; index++) {
      const client = await connect(host)
      await client.joined()
      for (let message = 0; message < 40; message++) client.send({ type: "leave", channel: 9 })
      expect((await client.closed).code).toBe(4429)
    }
    expect((await refusedUpgrade(host.url)).status).toBe(429)
  })

  test("is who the trusted proxy says it is, by /64 in IPv6", async () => {
    const host = await start({ addressMaxConnections: 1, trustedProxies: ["127.0.0.0/8"] })
    const from = (address: string): { headers: Record<string, string> } => ({
      headers: { "x-forwarded-for": address },
    })
    await connect(host, from("2001:db8:1:2::1"))
    expect((await refusedUpgrade(host.url, from("2001:db8:1:2:ffff::9"))).status).toBe(429)
    await connect(host, from("2001:db8:1:3::1"))
  })

  test("is not who a stranger's header says it is", async () => {
    const host = await start({ addressMaxConnections: 1 })
    await connect(host, { headers: { "x-forwarded-for": "203.0.113.1" } })
    const { status } = await refusedUpgrade(host.url, { headers: { "x-forwarded-for": "203.0.113.2" } })
    expect(status).toBe(429)
  })
})

describe("the process", () => {
  test("takes so many sockets", async () => {
    const host = await start({ maxSockets: 2 })
    await connect(host)
    await connect(host)
    expect((await refusedUpgrade(host.url)).status).toBe(503)
  })

  test("takes so many topics", async () => {
    const host = await start({ maxTopics: 2 })
    const client = await connect(host)
    await client.joined({ channel: 1 })
    await client.joined({ channel: 2 })
    expect(await client.join({ channel: 3 })).toMatchObject({ code: "overloaded" })
    client.send({ type: "leave", channel: 1 })
    expect(await client.join({ channel: 4 })).toMatchObject({ type: "joined" })
  })

  test("takes no sockets while its event loop lags", async () => {
    const host = await start({ maxLoopLagMs: 500 })
    await connect(host)
    const block = setInterval(() => {
      const end = performance.now() + 800
      while (performance.now() < end);
    }, 850)
    try {
      await until(async () => (await fetch(`${host.operationsUrl}/readyz`)).status === 503, "not ready")
      expect((await refusedUpgrade(host.url)).status).toBe(503)
    } finally {
      clearInterval(block)
    }
    await until(async () => (await fetch(`${host.operationsUrl}/readyz`)).status === 200, "ready again")
  })
})

describe("HTTP", () => {
  test("WebSockets are accepted on one path, with the subprotocol, from allowed origins", async () => {
    const host = await start({ path: "/signal", origins: ["https://app.example.org"] })
    const base = host.url.replace("/signal", "")
    expect((await refusedUpgrade(`${base}/other`)).status).toBe(404)
    expect((await refusedUpgrade(host.url, { protocol: "chat" })).status).toBe(400)
    expect((await refusedUpgrade(host.url, { origin: "https://evil.example" })).status).toBe(403)
    expect((await refusedUpgrade(host.url, { origin: "null" })).status).toBe(403)
    await connect(host, { origin: "https://app.example.org" })
    await connect(host)
    expect((await fetch(host.url.replace("ws:", "http:"))).status).toBe(426)
  })

  test("a request that does not end is ended", async () => {
    const host = await start({ httpTimeoutMs: 300 })
    const socket = connectTcp(host.port, "127.0.0.1")
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n")
    const drip = setInterval(() => socket.write("X-A: b\r\n"), 50)
    // Without a limit, Node would end the request only after a minute.
    const ended = new Promise<string>((resolve) =>
      socket.on("close", () => resolve("ended")).on("error", () => {}),
    )
    expect(await Promise.race([ended, sleep(20_000).then(() => "still open")])).toBe("ended")
    clearInterval(drip)
    socket.destroy()
  })

  test("headers have a size", async () => {
    const host = await start()
    const { status } = await refusedUpgrade(host.url, { headers: { "x-large": "y".repeat(9000) } })
    expect([400, 431]).toContain(status)
  })

  test("connections that never become sockets are counted as well", async () => {
    const host = await start({ addressMaxConnections: 2 })
    const sockets = Array.from({ length: 80 }, () => connectTcp(host.port, "127.0.0.1").on("error", () => {}))
    await until(() => sockets.filter((socket) => socket.destroyed).length >= 28, "the surplus was cut")
    for (const socket of sockets) socket.destroy()
    await sleep(100)
    await connect(host)
  })

  test("a handshake that breaks off frees its place", async () => {
    const host = await start({ addressMaxConnections: 2 })
    for (let index = 0; index < 10; index++) {
      const socket = connectTcp(host.port, "127.0.0.1")
      socket.write(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
          "Sec-WebSocket-Protocol: dunlin.signal.1\r\nSec-WebSocket-Key: not-a-key\r\n\r\n",
      )
      await new Promise((resolve) =>
        socket
          .on("data", () => {})
          .on("close", resolve)
          .on("error", () => {}),
      )
    }
    await connect(host)
    await connect(host)
    expect(host.stats().sockets).toBe(2)
  })
})

test("a thousand joiners on one topic: the room takes its members, refuses the rest, and others do not notice", async () => {
  const host = await start({
    addressConnectionBurst: 2000,
    addressMaxConnections: 2000,
  })
  const topic = someTopic()
  const [a, b] = [await connect(host), await connect(host)]
  const honest = someTopic()
  await a.joined({ topic: honest })
  await b.joined({ topic: honest })
  const started = performance.now()
  const crowd = await Promise.all(
    Array.from({ length: 1000 }, async () => {
      const client = await connect(host)
      return { client, answer: await client.join({ topic }) }
    }),
  )
  const inside = crowd.filter(({ answer }) => answer.type === "joined")
  expect(inside).toHaveLength(64)
  expect(crowd.filter(({ answer }) => answer.type === "error" && answer.code === "room-full")).toHaveLength(
    936,
  )
  a.send({ type: "signal", channel: 1, to: b.peer, blob })
  await b.next("signal")
  // From snapshots and changes together, all members end up knowing each other.
  const everyone = new Set(inside.map(({ client }) => Buffer.from(client.peer).toString("hex")))
  await until(() => {
    return inside.every(({ client, answer }) => {
      const known = new Set(
        answer.type === "joined" ? answer.peers.map((peer) => Buffer.from(peer).toString("hex")) : [],
      )
      for (const message of client.unread) {
        if (message.type !== "presence") continue
        for (const peer of message.joined) known.add(Buffer.from(peer).toString("hex"))
        for (const peer of message.left) known.delete(Buffer.from(peer).toString("hex"))
      }
      return known.size === everyone.size - 1
    })
  }, "all know each other")
  const frames = inside.reduce((sum, { client }) => sum + client.unread.length, 0)
  // Each of the 64 is told at most every 50 ms, on any machine. One frame for each join would make 64 × 63 / 2.
  expect(frames).toBeLessThan(64 * ((performance.now() - started) / 50 + 2))
  expect(frames).toBeLessThan((64 * 63) / 2)
})
