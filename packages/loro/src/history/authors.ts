import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js"
import type { LoroDoc } from "loro-crdt"

/** Root map of a document that names the device (32 bytes) behind each Loro peer id. Reserved: applications leave it alone. */
export const AUTHORS_CONTAINER = "_dunlin"

/** Origin of the replica's own commits. An `UndoManager` of the application excludes this prefix. */
export const DUNLIN_ORIGIN = "dunlin"

/** Origin of a commit that brings back an earlier version. */
export const RESTORE_ORIGIN = "restore"

const DEVICE_HEX = /^[0-9a-f]{64}$/

/** Notes in the document that its present peer id belongs to this device, unless it is noted already or cannot be now. */
export function recordAuthor(doc: LoroDoc, device: string): void {
  if (!DEVICE_HEX.test(device) || (doc.isDetached() && !doc.isDetachedEditingEnabled())) return
  const authors = doc.getMap(AUTHORS_CONTAINER)
  try {
    if (authors.get(doc.peerIdStr) !== undefined) return
    authors.set(doc.peerIdStr, hexToBytes(device))
    doc.commit({ origin: DUNLIN_ORIGIN })
  } finally {
    authors.free()
  }
}

/** Devices (64 hex digits) by Loro peer id. Written by peers: an entry is a claim, not a proof. */
export function readAuthors(doc: LoroDoc): ReadonlyMap<string, string> {
  const authors = doc.getMap(AUTHORS_CONTAINER)
  try {
    const devicesByPeer = new Map<string, string>()
    for (const [peer, device] of authors.entries()) {
      if (device instanceof Uint8Array && device.length === 32) devicesByPeer.set(peer, bytesToHex(device))
    }
    return devicesByPeer
  } finally {
    authors.free()
  }
}
