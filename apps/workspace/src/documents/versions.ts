import { LoroDoc, VersionVector, type JsonChange, type LoroEventBatch, type PeerID } from "loro-crdt"
import { time } from "../data/entries.ts"
import { groupIntoSteps, type HistoryStep, type Stretch } from "./history-steps.ts"
import { RESTORE_MESSAGE } from "./replace-text.ts"
import { readStepChange, type StepChange } from "./step-change.ts"
import { NOTE_MESSAGE } from "./text-people.ts"

/** A copy of a document that can be set to any of its moments without disturbing the one being edited. */
export interface Versions {
  /** Steps that a person can see, newest first, and at most `limit`. Reading more of them goes on where it stopped. */
  list(limit: number): { readonly steps: readonly ListedStep[]; readonly hasMore: boolean }
  /** The text after a part of the step, from nothing of it (0) to all (`step.moments`). */
  at(step: ListedStep, moment: number): Version
  free(): void
}

export interface ListedStep extends HistoryStep {
  /** Place among all steps, from the oldest. */
  readonly index: number
  readonly change: StepChange
  readonly moments: number
}

export interface Version {
  readonly text: string
  /** The text with what the step did to it. */
  readonly parts: readonly TextPart[]
}

export interface TextPart {
  readonly type: "same" | "added" | "removed"
  readonly text: string
}

/** More would be too fine for a slider. */
const MAX_MOMENTS = 200

export function openVersions(doc: LoroDoc, deviceByPeer: ReadonlyMap<string, string>): Versions {
  doc.commit()
  const copy = new LoroDoc()
  copy.import(doc.export({ mode: "snapshot" }))
  const steps = groupIntoSteps(readStretches(copy, deviceByPeer))
  const listed: ListedStep[] = []
  let unread = steps.length

  function checkout(vector: Map<PeerID, number>): void {
    const version = new VersionVector(vector)
    copy.checkout(copy.vvToFrontiers(version))
    version.free()
  }

  return {
    list(limit) {
      // One more than is shown, so that "more" is never a promise of nothing.
      while (listed.length <= limit && unread > 0) {
        const step = steps[--unread]
        if (step === undefined) break
        const change = readStepChange(changesOf(copy, step))
        if (!change.isVisible) continue
        listed.push({ ...step, index: unread, change, moments: Math.min(operationsOf(step), MAX_MOMENTS) })
      }
      return { steps: listed.slice(0, limit), hasMore: listed.length > limit }
    },
    at(step, moment) {
      const vector = new Map<PeerID, number>()
      for (const { stretches } of steps.slice(0, step.index)) take(vector, stretches, Infinity)
      checkout(vector)
      const before = copy.getText("body").toString()
      const operations = Math.round((operationsOf(step) * moment) / Math.max(step.moments, 1))
      take(vector, step.stretches, operations)
      // What Loro tells of the way from one to the other is what was done, and needs no comparison of texts.
      let told: LoroEventBatch | null = null
      const end = copy.subscribe((batch) => {
        told = batch
      })
      checkout(vector)
      end()
      return { text: copy.getText("body").toString(), parts: partsOf(before, told) }
    },
    free: () => copy.free(),
  }
}

/** The changes of a document with their authors, in no order. */
export function readStretches(doc: LoroDoc, deviceByPeer: ReadonlyMap<string, string>): readonly Stretch[] {
  return [...doc.getAllChanges().values()].flat().map((change) => ({
    peer: change.peer,
    author: deviceByPeer.get(change.peer) ?? change.peer,
    counter: change.counter,
    length: change.length,
    lamport: change.lamport,
    at: time(change.timestamp * 1_000),
    deps: change.deps,
    kind: kindOf(change.message),
  }))
}

function kindOf(message: string | undefined): Stretch["kind"] {
  if (message === RESTORE_MESSAGE) return "restore"
  return message === NOTE_MESSAGE ? "note" : "edit"
}

function* changesOf(doc: LoroDoc, { stretches }: HistoryStep): Iterable<JsonChange> {
  for (const { peer, counter, length } of stretches)
    yield* doc.exportJsonInIdSpan({ peer: peer as PeerID, counter, length })
}

function operationsOf({ stretches }: HistoryStep): number {
  return stretches.reduce((sum, { length }) => sum + length, 0)
}

function take(vector: Map<PeerID, number>, stretches: readonly Stretch[], operations: number): void {
  let left = operations
  for (const { peer, counter, length } of stretches) {
    if (left <= 0) return
    vector.set(peer as PeerID, counter + Math.min(left, length))
    left -= length
  }
}

function partsOf(before: string, batch: LoroEventBatch | null): readonly TextPart[] {
  const parts: TextPart[] = []
  const add = (type: TextPart["type"], text: string): void => {
    const last = parts.at(-1)
    if (text === "") return
    if (last?.type === type) parts[parts.length - 1] = { type, text: last.text + text }
    else parts.push({ type, text })
  }
  let at = 0
  const pass = (type: TextPart["type"], length: number): void => {
    add(type, before.slice(at, at + length))
    at += length
  }
  for (const { target, diff } of batch?.events ?? []) {
    if (target !== "cid:root-body:Text" || diff.type !== "text") continue
    for (const part of diff.diff) {
      if (part.retain !== undefined) pass("same", part.retain)
      else if (part.delete !== undefined) pass("removed", part.delete)
      else if (part.insert !== undefined) add("added", part.insert)
    }
  }
  pass("same", before.length - at)
  return parts
}
