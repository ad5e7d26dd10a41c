// One peer in a process of its own: rooms over WebRTC, or a bare data channel beside them.
import { memoryIdentity, openRoom, type Room } from "@dunlin/core"
import { createMemoryReplica, type MemoryCollection } from "@dunlin/core/testing"
import { webrtc } from "@dunlin/core/webrtc"
import * as wrtc from "node-datachannel/polyfill"
import { createNumberReplica, type Numbers } from "./number-replica.ts"

/** Between round trips: longer than an acknowledgement waits to be batched, so that none disturbs the next. */
const PAUSE_MS = 8

let room: Room | null = null
let entries: MemoryCollection | null = null
const identity = memoryIdentity()

const opened = (): MemoryCollection => {
  if (entries === null) throw new Error("not joined")
  return entries
}

/** Milliseconds from the call until a link is live. */
export async function join(invite: string, signaling: string): Promise<number> {
  const start = performance.now()
  room = await openRoom({ invite, identity, transports: [webrtc({ wrtc, signaling })] })
  entries = await room.replicate(createMemoryReplica({ name: "entries" }))
  const end = start + 30_000
  while (room.peers.get()[0]?.stage !== "live") {
    if (performance.now() > end) throw new Error("no link in 30 s")
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  return performance.now() - start
}

/** Joins without waiting for anybody. */
export async function open(invite: string, signaling: string): Promise<void> {
  room = await openRoom({ invite, identity, transports: [webrtc({ wrtc, signaling })] })
  entries = await room.replicate(createMemoryReplica({ name: "entries" }))
}

/** CPU milliseconds used by this process: more meaningful than the clock on a machine that others use too. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e3
}

export async function leave(): Promise<void> {
  await room?.close()
  room = null
  entries = null
}

export async function fill(count: number, bytes: number): Promise<void> {
  const text = "x".repeat(bytes)
  for (let from = 0; from < count; from += 200) {
    await Promise.all(
      Array.from({ length: Math.min(200, count - from) }, (_, index) =>
        opened().set(`e${from + index}`, { text }),
      ),
    )
  }
}

/** Milliseconds from the first of `count` entries to the last. */
export async function receive(count: number): Promise<number> {
  const collection = opened()
  // Counted here, because asking the collection for its keys on each entry costs more than receiving one.
  const here = new Set(collection.keys)
  let first: number | null = null
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${here.size} of ${count} in 120 s`)), 120_000)
    const look = (key: string): void => {
      first ??= performance.now()
      if (here.add(key).size < count) return
      clearTimeout(timer)
      unsubscribe()
      resolve(performance.now() - first)
    }
    const unsubscribe = collection.subscribe(look)
  })
}

/** Answers each entry `ping-n` with `pong-n`. */
export function echo(): void {
  const collection = opened()
  collection.subscribe((key) => {
    if (key.startsWith("ping-")) void collection.set(key.replace("ping", "pong"), { n: 1 })
  })
}

/** Round trips of small entries, in milliseconds. */
export async function ping(count: number, pauseMs = PAUSE_MS): Promise<readonly number[]> {
  const collection = opened()
  const times: number[] = []
  for (let index = 0; index < count; index++) {
    const start = performance.now()
    await new Promise<void>((resolve) => {
      const unsubscribe = collection.subscribe((key) => {
        if (key !== `pong-${index}`) return
        unsubscribe()
        resolve()
      })
      void collection.set(`ping-${index}`, { n: 1 })
    })
    times.push(performance.now() - start)
    if (pauseMs > 0) await pause(pauseMs)
  }
  return times
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

let numbers: Numbers | null = null
let nextNumber = 1

const openedNumbers = (): Numbers => {
  if (numbers === null) throw new Error("no numbers")
  return numbers
}

export async function openNumbers(): Promise<void> {
  numbers = (await room?.replicate(createNumberReplica("numbers"))) ?? null
}

/** Answers each number put at `ping` by putting the same number at `pong`. */
export function echoNumbers(): void {
  const own = openedNumbers()
  own.listen((key, value) => {
    if (key === "ping") own.put("pong", value)
  })
}

/** Round trips of numbers, each larger than the last, in milliseconds. */
export async function pingNumbers(count: number, pauseMs = PAUSE_MS): Promise<readonly number[]> {
  const own = openedNumbers()
  const times: number[] = []
  for (let index = 0; index < count; index++) {
    const value = nextNumber++
    const start = performance.now()
    await new Promise<void>((resolve) => {
      own.listen((key, answer) => {
        if (key === "pong" && answer === value) resolve()
      })
      own.put("ping", value)
    })
    times.push(performance.now() - start)
    if (pauseMs > 0) await pause(pauseMs)
  }
  return times
}

let connection: wrtc.RTCPeerConnection | null = null
let channel: RTCDataChannel | null = null
let isEcho = true
let receivedBytes = 0

const gathered = async (): Promise<string> => {
  const current = connection
  if (current === null) throw new Error("no connection")
  while (current.iceGatheringState !== "complete") await new Promise((resolve) => setTimeout(resolve, 5))
  return current.localDescription?.sdp ?? ""
}

const adopt = (given: RTCDataChannel): void => {
  channel = given
  channel.binaryType = "arraybuffer"
  channel.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
    if (isEcho) given.send(data)
    else receivedBytes += data.byteLength
  }
}

export async function rawOffer(): Promise<string> {
  connection = new wrtc.RTCPeerConnection({ iceServers: [] })
  adopt(connection.createDataChannel("raw"))
  isEcho = false
  await connection.setLocalDescription(await connection.createOffer())
  return gathered()
}

export async function rawAnswer(sdp: string): Promise<string> {
  connection = new wrtc.RTCPeerConnection({ iceServers: [] })
  connection.ondatachannel = ({ channel: given }: { channel: unknown }) => adopt(given as RTCDataChannel)
  await connection.setRemoteDescription({ type: "offer", sdp: split(sdp).rest })
  await connection.createAnswer()
  return gathered()
}

/** Candidates within the answer sometimes make libdatachannel throw, so they are added after it. */
export async function rawConnect(sdp: string): Promise<void> {
  const { rest, candidates } = split(sdp)
  await connection?.setRemoteDescription({ type: "answer", sdp: rest })
  for (const candidate of candidates) await connection?.addIceCandidate({ candidate, sdpMid: "0" })
  const end = performance.now() + 15_000
  while (channel?.readyState !== "open") {
    if (performance.now() > end) throw new Error("the bare channel did not open in 15 s")
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function split(sdp: string): { readonly rest: string; readonly candidates: readonly string[] } {
  const lines = sdp.split("\r\n")
  const isCandidate = (line: string): boolean => /^a=(candidate:|end-of-candidates)/.test(line)
  return {
    rest: lines.filter((line) => !isCandidate(line)).join("\r\n"),
    candidates: lines.filter((line) => line.startsWith("a=candidate:")).map((line) => line.slice(2)),
  }
}

export async function rawPing(count: number, bytes: number, pauseMs = PAUSE_MS): Promise<readonly number[]> {
  const current = channel
  if (current === null) throw new Error("no channel")
  const times: number[] = []
  for (let index = 0; index < count; index++) {
    const start = performance.now()
    await new Promise<void>((resolve) => {
      current.onmessage = () => resolve()
      current.send(new Uint8Array(bytes))
    })
    times.push(performance.now() - start)
    if (pauseMs > 0) await pause(pauseMs)
  }
  return times
}

export function rawCount(): void {
  isEcho = false
  receivedBytes = 0
}

export async function rawSend(totalBytes: number, messageBytes: number): Promise<void> {
  const current = channel
  if (current === null) throw new Error("no channel")
  const message = new Uint8Array(messageBytes)
  current.bufferedAmountLowThreshold = 256 * 1024
  for (let sent = 0; sent < totalBytes; sent += messageBytes) {
    while (current.bufferedAmount > 1024 * 1024) {
      await new Promise<void>((resolve) => {
        current.onbufferedamountlow = () => resolve()
        setTimeout(resolve, 20)
      })
    }
    current.send(message)
  }
}

/** Milliseconds from the first byte to the last. */
export async function rawReceive(totalBytes: number): Promise<number> {
  let first: number | null = null
  const end = performance.now() + 120_000
  while (receivedBytes < totalBytes) {
    if (receivedBytes > 0) first ??= performance.now()
    if (performance.now() > end) throw new Error("too slow")
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  return performance.now() - (first ?? performance.now())
}

export function rawClose(): void {
  connection?.close()
  connection = null
  channel = null
}
