import type { Pipe, PipeReceiver, TransportHost } from "@dunlin/core"
import { createSeededRandom, createSimulatedTime } from "@dunlin/core/testing"
import { Subject } from "rxjs"
import { expect, test } from "vitest"
import type { WebRTCConnectionHandler, WebRTCMessage } from "./connection-handler.ts"
import { handlerTransport } from "./handler-transport.ts"

/** A transport over a handler for which the test speaks. */
async function createWorld() {
  const time = createSimulatedTime()
  const pipes: Pipe[] = []
  const closings: string[] = []
  const connect$ = new Subject<string>()
  const message$ = new Subject<{ peer: string; message: WebRTCMessage }>()
  const handler: WebRTCConnectionHandler<string> = {
    connect$,
    disconnect$: new Subject(),
    message$,
    response$: new Subject(),
    error$: new Subject(),
    send: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
  const receiver: PipeReceiver = {
    message() {},
    drained() {},
    closed: (reason) => void closings.push(reason),
  }
  const host = {
    clock: time.clock(),
    random: createSeededRandom("handler"),
    wantsLinks: () => true,
    connected(pipe: Pipe) {
      pipes.push(pipe)
      pipe.open(receiver)
    },
  } satisfies Partial<TransportHost> as unknown as TransportHost
  handlerTransport({
    create: async () => handler,
    isPeerValid: () => true,
    failed(error) {
      throw error
    },
  }).start(host)
  await time.runFor(0)
  return {
    time,
    pipes,
    closings,
    async meet(...peers: readonly string[]) {
      for (const peer of peers) connect$.next(peer)
      await time.runFor(0)
    },
    /** A first message of a pipe that calls itself `from`. */
    say: (peer: string, from: string) =>
      message$.next({ peer, message: { id: "1", method: "masterWrite", params: [from, "control", "AAAA"] } }),
  }
}

test("a peer that begins anew with every message gets few handshakes out of this side", async () => {
  const { time, pipes, meet, say } = await createWorld()
  await meet("stranger")
  for (let n = 0; n < 10_000; n++) {
    say("stranger", `pipe ${n}`)
    await time.runFor(1)
  }
  expect(pipes.length).toBeGreaterThan(5)
  expect(pipes.length).toBeLessThan(20)
})

test("a peer whose pipes are all refused here gets no more by speaking at once", async () => {
  const { time, pipes, meet, say } = await createWorld()
  await meet("stranger")
  for (let n = 0; n < 10_000; n++) {
    pipes.at(-1)?.close()
    say("stranger", `pipe ${n}`)
    await time.runFor(1)
  }
  expect(pipes.length).toBeLessThan(20)
})

test("a peer that restarts is answered at once", async () => {
  const { pipes, closings, meet, say } = await createWorld()
  await meet("ada")
  say("ada", "one")
  say("ada", "two")
  expect(pipes).toHaveLength(2)
  expect(closings).toEqual(["remote"])
})

test("a crowd that comes at once is taken in little by little, and all of it", async () => {
  const { time, pipes, meet } = await createWorld()
  await meet(...Array.from({ length: 300 }, (_, n) => `peer ${n}`))
  expect(pipes.length).toBeLessThan(70)
  await time.runFor(60_000)
  expect(pipes).toHaveLength(300)
})
