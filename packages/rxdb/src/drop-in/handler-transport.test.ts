import type { Pipe, PipeReceiver, TransportHost } from "@dunlin/core"
import { createSeededRandom, createSimulatedTime } from "@dunlin/core/testing"
import { Subject } from "rxjs"
import { describe, expect, test } from "vitest"
import type { WebRTCConnectionHandler, WebRTCMessage } from "./connection-handler.ts"
import { handlerTransport } from "./handler-transport.ts"

const CHUNK = 32 * 1024

/** A transport over a handler for which the test speaks. */
async function createWorld({
  isPeerValid = () => true,
  connected = (pipe) => void opened(pipe),
  send = async () => {},
}: {
  readonly isPeerValid?: () => boolean | Promise<boolean>
  /** What the room does with a pipe: by default, it opens it. */
  readonly connected?: (pipe: Pipe) => void
  /** What carries messages once they are noted. */
  readonly send?: () => Promise<void>
} = {}) {
  const time = createSimulatedTime()
  const pipes: Pipe[] = []
  const sent: WebRTCMessage[] = []
  const connect$ = new Subject<string>()
  const message$ = new Subject<{ peer: string; message: WebRTCMessage }>()
  const handler: WebRTCConnectionHandler<string> = {
    connect$,
    disconnect$: new Subject(),
    message$,
    response$: new Subject(),
    error$: new Subject(),
    send(_peer, message) {
      sent.push(message as WebRTCMessage)
      return send()
    },
    close: () => Promise.resolve(),
  }
  const host = {
    clock: time.clock(),
    random: createSeededRandom("handler"),
    wantsLinks: () => true,
    connected(pipe: Pipe) {
      pipes.push(pipe)
      connected(pipe)
    },
  } satisfies Partial<TransportHost> as unknown as TransportHost
  handlerTransport({
    create: async () => handler,
    isPeerValid,
    failed(error) {
      throw error
    },
  }).start(host)
  await time.runFor(0)
  return {
    time,
    pipes,
    sent,
    async meet(...peers: readonly string[]) {
      for (const peer of peers) connect$.next(peer)
      await time.runFor(0)
    },
    say: (peer: string, message: WebRTCMessage) => message$.next({ peer, message }),
  }
}

/** A message of the pipe that calls itself `from`. */
function messageOf(from: string, bytes: number): WebRTCMessage {
  return { id: "1", method: "masterWrite", params: [from, "bulk", Buffer.alloc(bytes).toString("base64")] }
}

function opened(pipe: Pipe | undefined) {
  const received: number[] = []
  const closings: string[] = []
  const receiver: PipeReceiver = {
    message: (_lane, bytes) => void received.push(bytes.length),
    drained() {},
    closed: (reason) => void closings.push(reason),
  }
  pipe?.open(receiver)
  return { received, closings }
}

describe("a peer of somebody else's connection handler", () => {
  test("that begins anew with every message gets few handshakes out of this side", async () => {
    const { time, pipes, meet, say } = await createWorld()
    await meet("stranger")
    for (let n = 0; n < 10_000; n++) {
      say("stranger", messageOf(`pipe ${n}`, 3))
      await time.runFor(1)
    }
    expect(pipes.length).toBeGreaterThan(5)
    expect(pipes.length).toBeLessThan(20)
  })

  test("whose pipes are all refused here gets no more by speaking at once", async () => {
    const { time, pipes, meet, say } = await createWorld()
    await meet("stranger")
    for (let n = 0; n < 10_000; n++) {
      pipes.at(-1)?.close()
      say("stranger", messageOf(`pipe ${n}`, 3))
      await time.runFor(1)
    }
    expect(pipes.length).toBeLessThan(20)
  })

  test("that restarts is answered at once", async () => {
    const closings: string[][] = []
    const world = await createWorld({ connected: (pipe) => void closings.push(opened(pipe).closings) })
    await world.meet("ada")
    world.say("ada", messageOf("one", 3))
    world.say("ada", messageOf("two", 3))
    expect(closings).toEqual([["remote"], []])
  })

  test("that comes again before the application has let it in has one pipe, whatever it said before", async () => {
    let letIn = (): void => {}
    const decided = new Promise<boolean>((resolve) => (letIn = () => resolve(true)))
    const { time, pipes, meet, say } = await createWorld({ isPeerValid: () => decided })
    await meet("ada")
    say("ada", messageOf("one", 3))
    say("ada", messageOf("two", 3))
    await meet("ada")
    letIn()
    await time.runFor(0)
    expect(pipes).toHaveLength(1)
  })

  test("that comes again without having gone has one pipe, and the former one makes no others", async () => {
    const { time, pipes, meet } = await createWorld({ connected() {} })
    await meet("ada")
    const { closings } = opened(pipes[0])
    await meet("ada")
    expect(closings).toEqual(["failed"])
    await time.runFor(60_000)
    expect(pipes).toHaveLength(2)
  })

  test("is reached by its next pipe if a message of the last one does not get away", async () => {
    let getAway = (): void => {}
    let send = (): Promise<void> => new Promise((resolve) => (getAway = resolve))
    const { time, pipes, sent, meet } = await createWorld({ send: () => send() })
    const texts = () => sent.map(({ params }) => Buffer.from(String(params[2]), "base64").toString())
    await meet("ada")
    for (const text of ["one", "two"]) pipes[0]?.send("bulk", new TextEncoder().encode(text))
    await time.runFor(0)
    send = () => Promise.resolve()
    pipes[0]?.close()
    await time.runFor(10_000)
    pipes[1]?.send("bulk", new TextEncoder().encode("three"))
    await time.runFor(0)
    expect(texts()).toEqual(["one", "three"])
    getAway()
    await time.runFor(0)
    expect(texts()).toEqual(["one", "three"])
  })

  test("gets what was said before the pipe was closed", async () => {
    const { time, pipes, sent, meet } = await createWorld()
    await meet("ada")
    for (const text of ["one", "two"]) pipes[0]?.send("bulk", new TextEncoder().encode(text))
    pipes[0]?.close()
    await time.runFor(0)
    expect(sent.map(({ params }) => params[1])).toEqual(["bulk", "bulk", "end"])
  })

  test("that comes with a crowd is taken in a little later", async () => {
    const { time, pipes, meet } = await createWorld()
    await meet(...Array.from({ length: 300 }, (_, n) => `peer ${n}`))
    expect(pipes.length).toBeLessThan(70)
    await time.runFor(60_000)
    expect(pipes).toHaveLength(300)
  })

  test("is heard with what it said before the room let it in, up to what a handshake needs", async () => {
    const { pipes, meet, say } = await createWorld({ connected() {} })
    await meet("ada")
    for (const bytes of [84, 112, CHUNK]) say("ada", messageOf("one", bytes))
    expect(opened(pipes[0])).toEqual({ received: [84, 112, CHUNK], closings: [] })
  })

  test("cannot fill the memory while its pipe waits for the room", async () => {
    const { time, pipes, sent, meet, say } = await createWorld({ connected() {} })
    await meet("stranger")
    say("stranger", messageOf("one", CHUNK))
    say("stranger", messageOf("one", CHUNK))
    await time.runFor(0)
    expect(opened(pipes[0])).toEqual({ received: [], closings: ["failed"] })
    expect(sent.map(({ params }) => params[1])).toEqual(["end"])
  })

  test("cannot fill the memory while the application decides on it", async () => {
    let decide = (_answer: boolean): void => {}
    const { time, pipes, meet, say } = await createWorld({
      isPeerValid: () => new Promise((resolve) => (decide = resolve)),
      connected() {},
    })
    await meet("stranger")
    for (let n = 0; n < 100; n++) say("stranger", messageOf("one", CHUNK))
    for (let n = 0; n < 100; n++) say("stranger", { ...messageOf("one", 84), method: "token" })
    for (const bytes of [84, 112]) say("stranger", messageOf("one", bytes))
    decide(true)
    await time.runFor(0)
    // What came first within the limit is kept: one large message, and the two short ones.
    expect(opened(pipes[0]).received).toEqual([CHUNK, 84, 112])
  })

  test("may send messages of 64 KiB, and none that are longer", async () => {
    const { pipes, meet, say } = await createWorld({ connected() {} })
    await meet("ada")
    const { received, closings } = opened(pipes[0])
    say("ada", messageOf("one", 64 * 1024))
    expect([received, closings]).toEqual([[64 * 1024], []])
    say("ada", messageOf("one", 64 * 1024 + 3))
    expect([received, closings]).toEqual([[64 * 1024], ["local"]])
  })
})
