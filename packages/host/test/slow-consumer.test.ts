import { describe, expect, test } from "vitest"
import { metric, useHosts } from "./host-fixture.ts"
import { pause, type SignalingClient, someTopic, until } from "./signaling-client.ts"

const { start, connect } = useHosts()
const generous = {
  socketMessagesPerSecond: 100_000,
  socketMessageBurst: 100_000,
  socketBytesPerSecond: 1_000_000_000,
  socketByteBurst: 1_000_000_000,
  roomMessagesPerSecond: 100_000,
  roomMessageBurst: 100_000,
  addressConnectionBurst: 1000,
  addressMaxConnections: 1000,
}
const blob = new Uint8Array(30_000)

function flood(from: SignalingClient, to: SignalingClient, count: number): void {
  for (let index = 0; index < count; index++) from.send({ type: "signal", channel: 1, to: to.peer, blob })
}

describe("a socket that does not read", () => {
  test("is closed with 1013 when too much waits for it, and others go on", async () => {
    const host = await start(generous)
    const topic = someTopic()
    const [a, slow, b] = [await connect(host), await connect(host), await connect(host)]
    await a.joined({ topic })
    await slow.joined({ topic })
    await b.joined({ topic })
    slow.socket.pause()
    // More than the kernel's buffers hold, so that those do not decide when the test ends.
    for (let round = 0; round < 40 && host.stats().sockets === 3; round++) {
      flood(a, slow, 20)
      await pause(20)
    }
    await until(() => host.stats().sockets === 2, "the slow socket is gone")
    expect(host.stats().bufferedBytes).toBeLessThan(100_000)
    expect(await metric(host, "dunlin_slow_closed_total")).toBe(1)
    expect(a.unread).toContainEqual(expect.objectContaining({ type: "unreachable", reason: "busy" }))
    a.unread.length = 0
    flood(a, b, 1)
    expect((await b.next("signal")).blob.length).toBe(blob.length)
    slow.socket.resume()
    expect([1006, 1013]).toContain((await slow.closed).code)
  })

  test("is closed after a while when less waits, but never shrinks", async () => {
    const host = await start({
      ...generous,
      slowBytes: 0,
      slowCloseMs: 300,
      slowCloseBytes: 64 * 1024 * 1024,
    })
    const topic = someTopic()
    const [a, slow] = [await connect(host), await connect(host)]
    await a.joined({ topic })
    await slow.joined({ topic })
    slow.socket.pause()
    flood(a, slow, 800)
    await until(() => host.stats().sockets === 1, "the slow socket is gone")
  })

  test("is told why, should it read again before its time for closing is over", async () => {
    const host = await start({
      ...generous,
      slowBytes: 100_000,
      slowCloseBytes: 300_000,
      slowCloseMs: 60_000,
    })
    const topic = someTopic()
    const [a, slow] = [await connect(host), await connect(host)]
    await a.joined({ topic })
    await slow.joined({ topic })
    slow.socket.pause()
    for (let round = 0; round < 100 && !a.unread.some(({ type }) => type === "unreachable"); round++) {
      flood(a, slow, 10)
      await pause(10)
    }
    slow.socket.resume()
    expect((await slow.closed).code).toBe(1013)
    expect(slow.unread.at(-1)).toMatchObject({ type: "error", channel: 0, code: "slow-consumer" })
  })

  test("hears of who came and went once it reads again", async () => {
    const host = await start({ ...generous, slowBytes: 100_000, slowCloseBytes: 64 * 1024 * 1024 })
    const topic = someTopic()
    const [a, slow] = [await connect(host), await connect(host)]
    await a.joined({ topic })
    await slow.joined({ topic })
    slow.socket.pause()
    for (let round = 0; round < 100 && host.stats().bufferedBytes < 500_000; round++) {
      flood(a, slow, 20)
      await pause(20)
    }
    const [stays, goes] = [await connect(host), await connect(host)]
    await stays.joined({ topic })
    await goes.joined({ topic })
    await pause(100)
    goes.socket.close(1000)
    await pause(200)
    slow.socket.resume()
    const known = new Set<string>()
    await until(() => {
      for (const message of slow.unread.splice(0)) {
        if (message.type !== "presence") continue
        for (const peer of message.joined) known.add(Buffer.from(peer).toString("hex"))
        for (const peer of message.left) known.delete(Buffer.from(peer).toString("hex"))
      }
      return known.has(Buffer.from(stays.peer).toString("hex"))
    }, "the one who stayed is known")
    // It may be told again of someone who was already in its list.
    known.delete(Buffer.from(a.peer).toString("hex"))
    expect(known).toEqual(new Set([Buffer.from(stays.peer).toString("hex")]))
  })

  test("all of them together have a limit as well, and the worst go first", async () => {
    const host = await start({ ...generous, slowCloseBytes: 64 * 1024 * 1024, maxBufferedBytes: 1024 * 1024 })
    const topic = someTopic()
    const a = await connect(host)
    await a.joined({ topic })
    const slow = [await connect(host), await connect(host), await connect(host)]
    for (const client of slow) {
      await client.joined({ topic })
      client.socket.pause()
    }
    for (let round = 0; round < 100 && host.stats().sockets === 4; round++) {
      for (const client of slow) flood(a, client, 20)
      await pause(50)
    }
    await until(() => host.stats().bufferedBytes < 1024 * 1024, "the total is back under its limit")
    expect(host.stats().sockets).toBeLessThan(4)
    expect(a.socket.readyState).toBe(a.socket.OPEN)
  })
})
