import { randomBytes } from "node:crypto"
import { connect } from "node:net"
import { setTimeout as pause } from "node:timers/promises"
import type { WebSocket } from "ws"
import { dialects, type Member } from "./dialects.ts"

export type Attack = "nothing" | "slow-consumer" | "flooding-socket" | "flooding-address" | "crowd"

export interface AttackFigures {
  /** The outcome in words. */
  readonly outcome: string
}

const join = dialects.dunlin.join

/** Misbehaves towards a host with default limits for some seconds. */
export async function contain({
  url,
  attack,
  seconds,
}: {
  url: string
  attack: Attack
  seconds: number
}): Promise<AttackFigures> {
  switch (attack) {
    case "nothing":
      await pause(seconds * 1000)
      return { outcome: "–" }
    case "slow-consumer":
      return await slowConsumer(url, seconds)
    case "flooding-socket":
      return await floodingSocket(url, seconds)
    case "flooding-address":
      return await floodingAddress(url, seconds)
    case "crowd":
      return await crowd(url, seconds)
  }
}

/** Forty members send as much as they may to one that does not read. */
async function slowConsumer(url: string, seconds: number): Promise<AttackFigures> {
  const room = randomBytes(32)
  const slow = await join(url, room, { localAddress: "127.0.0.2" })
  const senders: Member[] = []
  for (let index = 0; index < 40; index++) {
    senders.push(await join(url, room, { localAddress: `127.0.1.${1 + (index % 4)}` }))
  }
  slow.socket.pause()
  const frame = dialects.dunlin.envelope(slow, slow, room, 30_000)
  const started = performance.now()
  let closedAfterMs: number | null = null
  while (performance.now() - started < seconds * 1000) {
    for (const { socket } of senders) if (socket.readyState === socket.OPEN) socket.send(frame)
    await pause(500)
    closedAfterMs ??= isCutOff(slow.socket) ? performance.now() - started : null
  }
  slow.socket.resume()
  await pause(500)
  const closed = slow.socket.readyState !== slow.socket.OPEN
  endAll([slow, ...senders])
  return { outcome: closed ? "closed" : "still open: the kernel's buffers held everything" }
}

/** A paused socket does not report that it was closed, but its ready state does. */
function isCutOff(socket: WebSocket): boolean {
  return socket.readyState !== socket.OPEN
}

/** One address that sends as fast as it can on one socket, and comes back whenever it is cut off. */
async function floodingSocket(url: string, seconds: number): Promise<AttackFigures> {
  const end = performance.now() + seconds * 1000
  let cuts = 0
  let refusals = 0
  let sent = 0
  while (performance.now() < end) {
    const room = randomBytes(32)
    let member: Member
    try {
      member = await join(url, room, { localAddress: "127.0.0.2" })
    } catch {
      refusals += 1
      await pause(50)
      continue
    }
    const frame = dialects.dunlin.envelope(member, member, room, 700)
    while (member.socket.readyState === member.socket.OPEN && performance.now() < end) {
      for (let index = 0; index < 200; index++) member.socket.send(frame)
      sent += 200
      await pause(1)
    }
    cuts += 1
    member.socket.terminate()
  }
  return { outcome: `${sent} frames sent, cut off ${cuts} times, refused ${refusals} times` }
}

/** One address that opens connections as fast as it can and sends garbage. */
async function floodingAddress(url: string, seconds: number): Promise<AttackFigures> {
  const { port } = new URL(url)
  const end = performance.now() + seconds * 1000
  let opened = 0
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      opened += 1
      await new Promise<void>((resolve) => {
        const tcp = connect({ port: Number(port), host: "127.0.0.1", localAddress: "127.0.0.3" })
        const timer = setTimeout(() => tcp.destroy(), 1000)
        tcp.on("error", () => {})
        tcp.on("data", () => {})
        tcp.on("close", () => {
          clearTimeout(timer)
          resolve()
        })
        tcp.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
      })
    }
  }
  await Promise.all(Array.from({ length: 64 }, worker))
  return { outcome: `${opened} connections tried (${Math.round(opened / seconds)}/s)` }
}

/** A thousand join one topic, from fifty addresses. */
async function crowd(url: string, seconds: number): Promise<AttackFigures> {
  const room = randomBytes(32)
  const started = performance.now()
  let inside = 0
  let refused = 0
  const members: Member[] = []
  await Promise.all(
    Array.from({ length: 1000 }, async (_, index) => {
      await pause((index / 1000) * Math.min(2, seconds) * 1000)
      try {
        members.push(await withTimeout(join(url, room, { localAddress: `127.0.2.${1 + (index % 50)}` })))
        inside += 1
      } catch {
        refused += 1
      }
    }),
  )
  await pause(Math.max(0, seconds * 1000 - (performance.now() - started)))
  endAll(members)
  return { outcome: `${inside} let in, ${refused} refused` }
}

/** A refused join leaves its socket open. */
function withTimeout(join: Promise<Member>): Promise<Member> {
  return Promise.race([
    join,
    pause(4000).then(() => {
      throw new Error("not let in")
    }),
  ])
}

function endAll(members: readonly Member[]): void {
  for (const { socket } of members) socket.terminate()
}
