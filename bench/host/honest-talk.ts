import { randomBytes } from "node:crypto"
import { dialects, ENVELOPE_BYTES, type Member } from "./dialects.ts"
import { quantile } from "../quantile.ts"
import { setTimeout as pause } from "node:timers/promises"

export interface TalkFigures {
  readonly sent: number
  readonly received: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
}

interface Talk {
  readonly members: readonly Member[]
  readonly latencies: number[]
  readonly sentAt: number[]
  sent: number
  timer: NodeJS.Timeout
}

let talk: Talk | null = null

/** Two members of a room who exchange an envelope ten times a second while something else goes on. */
export async function startTalk({ url }: { url: string }): Promise<void> {
  const room = randomBytes(32)
  const from = await dialects.dunlin.join(url, room)
  const to = await dialects.dunlin.join(url, room)
  const frame = dialects.dunlin.envelope(from, to, room, ENVELOPE_BYTES)
  const sentAt: number[] = []
  const latencies: number[] = []
  to.socket.on("message", (data: Buffer) => {
    const at = data.length < ENVELOPE_BYTES ? undefined : sentAt.shift()
    if (at !== undefined) latencies.push(performance.now() - at)
  })
  const current: Talk = {
    members: [from, to],
    latencies,
    sentAt,
    sent: 0,
    timer: setInterval(() => {
      sentAt.push(performance.now())
      current.sent += 1
      from.socket.send(frame)
    }, 100),
  }
  talk = current
}

export async function stopTalk(): Promise<TalkFigures> {
  if (talk === null) throw new Error("nobody talks")
  const { members, latencies, timer, sentAt } = talk
  clearInterval(timer)
  for (let wait = 0; wait < 50 && sentAt.length > 0; wait++) await pause(100)
  const { sent } = talk
  for (const { socket } of members) socket.close(1000)
  talk = null
  const sorted = latencies.toSorted((a, b) => a - b)
  return {
    sent,
    received: sorted.length,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    maxMs: sorted.at(-1) ?? null,
  }
}
