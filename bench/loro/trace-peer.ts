import { memoryIdentity, openRoom, type Room } from "@dunlin/core"
import { webrtc } from "@dunlin/core/webrtc"
import { type LoroDocument, type LoroDocuments, loroReplica, memoryStore } from "@dunlin/loro"
import { LoroDoc } from "loro-crdt"
import * as wrtc from "node-datachannel/polyfill"
import * as Y from "yjs"
import { type EditingTrace, type Patch, readEditingTrace } from "./editing-trace.ts"
import { createRawPeer, type RawChannel, wallMs } from "./raw-channel.ts"

/** Edits reach the other side at least this often, as they do in the replica. */
const FLUSH_MS = 16
const SLICE_MS = 8
const MESSAGE_BYTES = 65_536

let room: Room | null = null
let docs: LoroDocuments | null = null
let document_: LoroDocument | null = null
let trace: EditingTrace = { patches: [], endContent: "" }
let channel: RawChannel | null = null
let raw = createRawPeer(() => new wrtc.RTCPeerConnection({ iceServers: [] }))
const store = memoryStore()

export function load(part: number): void {
  trace = readEditingTrace(part)
}

export async function join(invite: string, signaling: string): Promise<void> {
  room = await openRoom({ invite, identity: memoryIdentity(), transports: [webrtc({ wrtc, signaling })] })
  docs = await room.replicate(loroReplica({ name: "trace", store }))
}

export async function leave(): Promise<void> {
  await room?.close()
  room = null
}

export async function waitForPeer(): Promise<void> {
  while (!room?.peers.get().some((peer) => peer.stage === "live"))
    await new Promise((resolve) => setTimeout(resolve, 1))
}

export async function open(id: string): Promise<void> {
  document_ = (await docs?.open(id)) ?? null
}

export async function close(): Promise<void> {
  await document_?.close()
}

export function bytes(): number {
  let sum = 0
  for (const { bytesIn, bytesOut } of room?.diagnostics.counters().values() ?? []) sum += bytesIn + bytesOut
  return sum
}

/** Types the whole trace as fast as possible; resolves to when it began. */
export async function replay(): Promise<number> {
  if (document_ === null) throw new Error("no document is open")
  const { doc } = document_
  const text = doc.getText("body")
  const begun = wallMs()
  await pour(trace.patches, ([at, deleted, inserted]) => {
    if (deleted > 0) text.delete(at, deleted)
    if (inserted !== "") text.insert(at, inserted)
    document_?.commit()
  })
  return begun
}

/** Resolves to when this side showed the end of the trace, and whether the text is right. */
export async function follow(): Promise<{
  readonly at: number
  readonly equal: boolean
  readonly cpuMs: number
}> {
  if (document_ === null) throw new Error("no document is open")
  const text = document_.doc.getText("body")
  const cpu = process.cpuUsage()
  for (;;) {
    if (text.length === trace.endContent.length && text.toString() === trace.endContent) break
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  return { at: wallMs(), equal: text.toString() === trace.endContent, cpuMs: cpuMsSince(cpu) }
}

/** The floor: two documents in one process that exchange updates every 16 ms, with nothing stored or sent. */
export async function loroAlone(): Promise<{ readonly ms: number; readonly bytes: number }> {
  const [left, right] = [new LoroDoc(), new LoroDoc()]
  let bytesMoved = 0
  left.subscribeLocalUpdates((update) => {
    bytesMoved += update.length
    right.import(update)
  })
  const text = left.getText("body")
  const begun = wallMs()
  let flushedAt = begun
  await pour(trace.patches, ([at, deleted, inserted]) => {
    if (deleted > 0) text.delete(at, deleted)
    if (inserted !== "") text.insert(at, inserted)
    if (wallMs() - flushedAt < FLUSH_MS) return
    left.commit()
    flushedAt = wallMs()
  })
  left.commit()
  if (right.getText("body").toString() !== trace.endContent)
    throw new Error("Loro alone did not reach the end")
  return { ms: wallMs() - begun, bytes: bytesMoved }
}

export async function yReplay(): Promise<{ readonly begun: number; readonly bytes: number }> {
  const doc = new Y.Doc()
  const text = doc.getText("body")
  let updates: Uint8Array[] = []
  let bytesSent = 0
  const flush = (): void => {
    if (updates.length === 0) return
    const merged = updates.length === 1 ? (updates[0] ?? new Uint8Array(0)) : Y.mergeUpdates(updates)
    updates = []
    bytesSent += merged.length
    channel?.send(new Uint8Array(merged))
  }
  doc.on("update", (update: Uint8Array) => void updates.push(update))
  const begun = wallMs()
  let flushedAt = begun
  await pour(trace.patches, ([at, deleted, inserted]) => {
    doc.transact(() => {
      if (deleted > 0) text.delete(at, deleted)
      if (inserted !== "") text.insert(at, inserted)
    })
    if (wallMs() - flushedAt < FLUSH_MS) return
    flush()
    flushedAt = wallMs()
  })
  flush()
  return { begun, bytes: bytesSent }
}

export async function yFollow(): Promise<{ readonly at: number; readonly equal: boolean }> {
  const doc = new Y.Doc()
  const text = doc.getText("body")
  if (channel !== null) channel.onmessage = ({ data }) => Y.applyUpdate(doc, new Uint8Array(data))
  while (text.length !== trace.endContent.length || text.toString() !== trace.endContent) {
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  return { at: wallMs(), equal: true }
}

/** Sends the open document's snapshot over the bare channel; resolves to when the first byte left. */
export async function rawSnapshot(): Promise<number> {
  const snapshot = document_?.doc.export({ mode: "snapshot" }) ?? new Uint8Array(0)
  const begun = wallMs()
  channel?.send(new Uint8Array(new Uint32Array([snapshot.length]).buffer))
  for (let at = 0; at < snapshot.length; at += MESSAGE_BYTES) {
    channel?.send(snapshot.slice(at, at + MESSAGE_BYTES))
  }
  return begun
}

/** Resolves to when the received snapshot was imported, and how much CPU time this process used for it. */
export async function rawImport(): Promise<{ readonly at: number; readonly cpuMs: number }> {
  const cpu = process.cpuUsage()
  return new Promise((resolve) => {
    let expected = -1
    let filled = 0
    let snapshot = new Uint8Array(0)
    if (channel === null) throw new Error("no channel")
    channel.onmessage = ({ data }) => {
      if (expected < 0) {
        expected = new Uint32Array(data)[0] ?? 0
        snapshot = new Uint8Array(expected)
        return
      }
      snapshot.set(new Uint8Array(data), filled)
      filled += data.byteLength
      if (filled < expected) return
      const doc = new LoroDoc()
      doc.import(snapshot)
      resolve({ at: wallMs(), cpuMs: cpuMsSince(cpu) })
      doc.free()
    }
  })
}

/** How long a newcomer waits: from when it first sees the peer until the document is there. */
export async function waitForDocument(
  id: string,
): Promise<{ readonly ms: number; readonly cpuMs: number; readonly length: number }> {
  if (room === null || docs === null) throw new Error("not in a room")
  const current = room
  const moment = (): Moment => ({ at: wallMs(), cpu: process.cpuUsage() })
  const arrived = new Promise<Moment>((resolve) => {
    docs?.subscribe((event) => {
      if (event.id === id) resolve(moment())
    })
  })
  const met = new Promise<Moment>((resolve) => {
    const look = (): void => {
      if (current.peers.get().length > 0) resolve(moment())
    }
    current.peers.subscribe(look)
    look()
  })
  const [from, to] = [await met, await arrived]
  const opened = await docs.open(id)
  const { length } = opened.doc.getText("body")
  return { ms: to.at - from.at, cpuMs: cpuMsOf(to.cpu) - cpuMsOf(from.cpu), length }
}

interface Moment {
  readonly at: number
  readonly cpu: NodeJS.CpuUsage
}

function cpuMsOf({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1_000
}

function cpuMsSince(from: NodeJS.CpuUsage): number {
  return cpuMsOf(process.cpuUsage(from))
}

export function rawRenew(): void {
  raw = createRawPeer(() => new wrtc.RTCPeerConnection({ iceServers: [] }))
}
export const rawOffer = (): Promise<string> => raw.offer()
export const rawAnswer = (offer: string): Promise<string> => raw.answer(offer)
export const rawAccept = (answer: string): Promise<void> => raw.accept(answer)
export async function rawOpen(): Promise<void> {
  channel = await raw.channel()
}

/** Applies all patches, pausing for messages and timers. */
async function pour(patches: readonly Patch[], apply: (patch: Patch) => void): Promise<void> {
  let sliceAt = performance.now()
  for (const patch of patches) {
    apply(patch)
    if (performance.now() - sliceAt < SLICE_MS) continue
    await new Promise((resolve) => setImmediate(resolve))
    sliceAt = performance.now()
  }
}
