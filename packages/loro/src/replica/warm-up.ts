import type { Clock, Random } from "@dunlin/core"
import { LoroDoc } from "loro-crdt"

import { decodeDelta, encodeDelta } from "./document-delta.ts"
import { freeQuietly, prepareLoroDoc, watchDocument } from "./live-document.ts"
import { refuseUpdate } from "./update-check.ts"
import { EMPTY_VERSION, MAX_COUNTER } from "./version.ts"

/**
 * WebAssembly and JavaScript functions are compiled when they are first called: the first import of a process takes
 * three times as long as the next ones. A room that still waits for its peers has time for that now, and none when a
 * document comes.
 */
export function warmUpLoro(ports: { readonly clock: Clock; readonly random: Random }): void {
  const docs = [new LoroDoc(), new LoroDoc(), new LoroDoc()] as const
  const [author, reader, follower] = docs
  const ignore = (): void => undefined
  const watched = {
    ...ports,
    device: "0".repeat(64),
    onLocal: ignore,
    onForeignPeerId: ignore,
    onFailure: ignore,
  }
  try {
    prepareLoroDoc(reader)
    const [live, writing] = [
      watchDocument({ ...watched, doc: reader }),
      watchDocument({ ...watched, doc: author }),
    ]
    const text = author.getText("body")
    text.insert(0, "The first words")
    writing.settle()
    const { version } = writing.state()
    takeIn(live.integrate, encodeDelta({ type: "snapshot", version, snapshot: writing.snapshot() }))
    text.delete(0, 4)
    text.insert(0, "Some ")
    writing.settle()
    takeIn(live.integrate, encodeDelta({ type: "push", update: writing.updateSince(version) }))
    follower.import(author.export({ mode: "update" }))
    reader.getText("body").toString()
    for (const one of [live, writing]) one.abandon()
  } catch {
    // Whatever failed will fail again where it is reported.
  } finally {
    for (const doc of docs) freeQuietly(doc)
  }
}

/** Takes the same path as a delta from a peer. */
function takeIn(integrate: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  const delta = decodeDelta(bytes)
  if (delta.type === "tombstone") return
  const update = delta.type === "snapshot" ? delta.snapshot : delta.update
  const limits = { maxBytes: update.length, maxOperations: MAX_COUNTER }
  if (refuseUpdate(update, { ...limits, held: EMPTY_VERSION, snapshot: "allowed" }) === null)
    integrate(update)
}
