import { encodeClientMessage } from "@dunlin/core/signaling"
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { metric, useHosts } from "./host-fixture.ts"
import { openRawSocket, rawFrame } from "./raw-socket.ts"
import { type SignalingClient, somePeer, someTopic } from "./signaling-client.ts"
import type { Host } from "@dunlin/host"

const { start, connect } = useHosts()
const unblocked = { addressBlockMs: 0, addressConnectionBurst: 100_000, addressConnectionsPerSecond: 100_000 }

const join = encodeClientMessage({
  type: "join",
  channel: 1,
  topic: someTopic(),
  peer: somePeer(),
  resume: null,
  token: "",
})

/** A room whose members keep talking while something else goes on. */
async function honestRoom(host: Host): Promise<() => Promise<void>> {
  const topic = someTopic()
  const a = await connect(host)
  await a.joined({ topic })
  const b = await connect(host)
  await b.joined({ topic })
  const talk = async (from: SignalingClient, to: SignalingClient): Promise<void> => {
    from.send({ type: "signal", channel: 1, to: to.peer, blob: new Uint8Array(700) })
    await to.next("signal")
  }
  return async () => {
    await talk(a, b)
    await talk(b, a)
  }
}

describe("frames that do not decode end the socket, and nothing else", () => {
  test.each<[string, Uint8Array | string, number, string]>([
    ["one byte", new Uint8Array([0]), 4400, "unsupported-version"],
    ["nothing", new Uint8Array(0), 4400, "malformed"],
    [
      "four bytes, the death of another server",
      new TextEncoder().encode("null"),
      4400,
      "unsupported-version",
    ],
    ["text", "null", 4400, "malformed"],
    ["JSON", '{"type":"join","room":{"toString":null}}', 4400, "malformed"],
    ["a join cut short", join.subarray(0, 40), 4400, "malformed"],
    ["a join with more behind it", new Uint8Array([...join, 0]), 4400, "malformed"],
    ["an unknown type", new Uint8Array([1, 0x7f, 0, 1]), 4400, "malformed"],
    ["a message of the host's", new Uint8Array([1, 0x81, 0, 1]), 4400, "malformed"],
    ["channel 0", new Uint8Array([1, 2, 0, 0]), 4400, "malformed"],
  ])("%s", async (_name, bytes, closeCode, errorCode) => {
    const host = await start(unblocked)
    const talk = await honestRoom(host)
    const client = await connect(host)
    client.sendBytes(bytes)
    expect(await client.next("error")).toMatchObject({ channel: 0, code: errorCode })
    expect((await client.closed).code).toBe(closeCode)
    await talk()
    expect(await metric(host, "dunlin_handler_errors_total")).toBe(0)
  })
})

describe("bytes below the protocol end the socket, and nothing else", () => {
  const binary = 0x82
  test.each<[string, readonly Buffer[]]>([
    ["an unmasked frame", [rawFrame({ head: binary, payload: join, masked: false })]],
    ["reserved bits", [rawFrame({ head: 0xf2, payload: join })]],
    ["an unknown opcode", [rawFrame({ head: 0x83, payload: join })]],
    ["a continuation of nothing", [rawFrame({ head: 0x80, payload: join })]],
    ["a fragmented ping", [rawFrame({ head: 0x09, payload: new Uint8Array(1) })]],
    ["a ping of 126 bytes", [rawFrame({ head: 0x89, payload: new Uint8Array(126) })]],
    ["2^63 bytes promised", [rawFrame({ head: binary, payload: join, claimedLength: 2n ** 63n })]],
    ["4 GiB promised", [rawFrame({ head: binary, payload: join, claimedLength: 2n ** 32n })]],
    ["a close frame of one byte", [rawFrame({ head: 0x88, payload: new Uint8Array(1) })]],
    ["a close code that does not exist", [rawFrame({ head: 0x88, payload: new Uint8Array([0, 5]) })]],
    ["text that is no UTF-8", [rawFrame({ head: 0x81, payload: new Uint8Array([0xff]) })]],
    [
      "a thousand empty fragments",
      [
        rawFrame({ head: 0x02, payload: new Uint8Array(0) }),
        ...Array.from({ length: 1000 }, () => rawFrame({ head: 0x00, payload: new Uint8Array(0) })),
      ],
    ],
    [
      "fragments that together are too much",
      [
        rawFrame({ head: 0x02, payload: new Uint8Array(30_000) }),
        rawFrame({ head: 0x80, payload: new Uint8Array(30_000) }),
      ],
    ],
    [
      "a frame in a thousand pieces of a byte, never whole",
      [rawFrame({ head: binary, payload: new Uint8Array(5) })],
    ],
  ])("%s", async (_name, frames) => {
    const host = await start({ ...unblocked, joinDeadlineMs: 2_000 })
    const talk = await honestRoom(host)
    const raw = await openRawSocket(host.port)
    raw.tcp.on("error", () => {})
    for (const frame of frames) raw.tcp.write(frame)
    await raw.ended
    await talk()
    expect(await metric(host, "dunlin_handler_errors_total")).toBe(0)
  })

  test("a member that breaks WebSocket has no grace", async () => {
    const host = await start({ ...unblocked, graceMs: 60_000 })
    const topic = someTopic()
    const member = await connect(host)
    await member.joined({ topic })
    const raw = await openRawSocket(host.port)
    const peer = somePeer()
    const hello = encodeClientMessage({ type: "join", channel: 1, topic, peer, resume: null, token: "" })
    raw.tcp.write(rawFrame({ head: binary, payload: hello }))
    await member.next("presence")
    raw.tcp.write(rawFrame({ head: 0xf2, payload: join }))
    expect((await member.next("presence")).left).toEqual([Buffer.from(peer)])
  })

  test("connections that are reset, half closed or dripped leave nothing behind", async () => {
    const host = await start({ ...unblocked, addressMaxConnections: 100, joinDeadlineMs: 2_000 })
    for (let index = 0; index < 150; index++) {
      const raw = await openRawSocket(host.port)
      raw.tcp.on("error", () => {})
      if (index % 3 === 0) raw.tcp.resetAndDestroy()
      else if (index % 3 === 1) raw.tcp.end()
      else {
        raw.tcp.write(rawFrame({ head: 0x02, payload: new Uint8Array(1) }))
        raw.tcp.destroy()
      }
    }
    await expect.poll(() => host.stats().sockets, { timeout: 20_000 }).toBe(0)
    await (await connect(host)).joined()
  })

  test("a join in many pieces is a join", async () => {
    const host = await start()
    const raw = await openRawSocket(host.port)
    raw.tcp.setNoDelay(true)
    for (const byte of rawFrame({ head: 0x82, payload: join })) {
      raw.tcp.write(Buffer.from([byte]))
    }
    await expect.poll(() => host.stats().members, { timeout: 10_000 }).toBe(1)
    raw.tcp.destroy()
  })
})

test("whatever members send, honest members go on", async () => {
  const host = await start({
    ...unblocked,
    addressMaxConnections: 100_000,
    socketMessageBurst: 100_000,
    roomMessageBurst: 100_000,
  })
  const talk = await honestRoom(host)
  const topic = someTopic()
  const kinds = fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 0x81)
  const structured = fc
    .tuple(kinds, fc.nat(3), fc.uint8Array({ maxLength: 120 }))
    .map(([kind, channel, body]) => new Uint8Array([1, kind, 0, channel, ...body]))
  const frames = fc.array(fc.oneof(structured, fc.uint8Array({ maxLength: 60 })), {
    minLength: 1,
    maxLength: 20,
  })
  await fc.assert(
    fc.asyncProperty(frames, fc.boolean(), async (hostile, joinFirst) => {
      const client = await connect(host)
      if (joinFirst) await client.joined({ topic })
      for (const frame of hostile) client.sendBytes(frame)
      client.sendBytes(new Uint8Array([0]))
      await client.closed
    }),
    { numRuns: 200 },
  )
  await talk()
  expect(await metric(host, "dunlin_handler_errors_total")).toBe(0)
  await expect
    .poll(() => host.stats(), { timeout: 10_000 })
    .toMatchObject({ sockets: 2, topics: 1, members: 2 })
})
