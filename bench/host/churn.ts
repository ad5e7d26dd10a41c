import { randomBytes } from "node:crypto"
import { setTimeout as pause } from "node:timers/promises"
import { decodeHostMessage, encodeClientMessage, SIGNALING_SUBPROTOCOL } from "@dunlin/core/signaling"
import { WebSocket } from "ws"

export interface ChurnFigures {
  readonly joins: number
  readonly resumed: number
  readonly delivered: number
  /** Envelopes that did not arrive although both ends were connected throughout. */
  readonly lost: number
}

interface Client {
  readonly socket: WebSocket
  readonly peer: Uint8Array
  readonly resume: Uint8Array
}

const topics = Array.from({ length: 40 }, () => randomBytes(32))
let figures = { joins: 0, resumed: 0, delivered: 0, lost: 0 }
let running = false
let workers: Promise<void>[] = []

/** Clients that join, talk, break, return, leave and rush at random, until `stopChurn`. */
export function startChurn({ url, clients }: { url: string; clients: number }): void {
  figures = { joins: 0, resumed: 0, delivered: 0, lost: 0 }
  running = true
  workers = [
    ...Array.from({ length: clients }, (_, index) =>
      live(url, topics[index % topics.length] ?? randomBytes(32)),
    ),
    talkAllTheTime(url),
  ]
}

export async function stopChurn(): Promise<ChurnFigures> {
  running = false
  await Promise.all(workers)
  return figures
}

async function live(url: string, topic: Uint8Array): Promise<void> {
  let last: Pick<Client, "peer" | "resume"> | null = null
  while (running) {
    try {
      const client: Client = await join(url, topic, last)
      await pause(Math.random() * 4000)
      last = await part(client)
    } catch {
      last = null
    }
    await pause(Math.random() * 500)
  }
}

/** One of the ways in which clients go; returns what the client comes back with. */
async function part({ socket, peer, resume }: Client): Promise<Pick<Client, "peer" | "resume"> | null> {
  const way = Math.random()
  if (way < 0.4) {
    socket.terminate()
    return { peer, resume }
  }
  if (way < 0.7) {
    socket.close(1000)
    return null
  }
  if (way < 0.85) {
    socket.send(encodeClientMessage({ type: "leave", channel: 1 }))
    socket.send(
      encodeClientMessage({
        type: "join",
        channel: 2,
        topic: randomBytes(32),
        peer,
        resume: null,
        token: "",
      }),
    )
    await pause(Math.random() * 500)
    socket.terminate()
    return null
  }
  const rush = encodeClientMessage({
    type: "signal",
    channel: 1,
    to: randomBytes(16),
    blob: randomBytes(700),
  })
  for (let index = 0; index < 300 && socket.readyState === WebSocket.OPEN; index++) socket.send(rush)
  await pause(100)
  socket.terminate()
  return null
}

/** Measures health: two clients that stay, on a topic of their own. */
async function talkAllTheTime(url: string): Promise<void> {
  const topic = randomBytes(32)
  const [from, to] = [await join(url, topic, null), await join(url, topic, null)]
  let arrived = 0
  let sent = 0
  to.socket.on("message", (data: Buffer) => {
    if (decodeHostMessage(data).type === "signal") arrived += 1
  })
  const frame = encodeClientMessage({ type: "signal", channel: 1, to: to.peer, blob: randomBytes(700) })
  while (running) {
    from.socket.send(frame)
    sent += 1
    await pause(200)
  }
  await pause(3000)
  figures.delivered = arrived
  figures.lost = sent - arrived
  from.socket.terminate()
  to.socket.terminate()
}

function join(url: string, topic: Uint8Array, last: Pick<Client, "peer" | "resume"> | null): Promise<Client> {
  const peer = last?.peer ?? randomBytes(16)
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, SIGNALING_SUBPROTOCOL)
    const give = (): void => {
      reject(new Error("not joined"))
      socket.terminate()
    }
    const timer = setTimeout(give, 10_000)
    socket.on("error", () => {})
    socket.on("close", () => {
      clearTimeout(timer)
      reject(new Error("closed"))
    })
    socket.on("open", () => {
      socket.send(
        encodeClientMessage({
          type: "join",
          channel: 1,
          topic,
          peer,
          resume: last?.resume ?? null,
          token: "",
        }),
      )
    })
    socket.on("message", (data: Buffer) => {
      const message = decodeHostMessage(data)
      if (message.type === "error") give()
      if (message.type !== "joined") return
      clearTimeout(timer)
      figures.joins += 1
      if (message.resumed) figures.resumed += 1
      resolve({ socket, peer, resume: Uint8Array.from(message.resume) })
    })
  })
}
