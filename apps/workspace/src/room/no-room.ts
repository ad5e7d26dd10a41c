import { createState, type ReplicaHost } from "@dunlin/core"

/** Without a room, documents are still edited and kept, but not shared. */
export function noRoom(): ReplicaHost {
  return {
    roomTag: new Uint8Array(32),
    device: "0".repeat(64),
    changed: () => undefined,
    report: () => undefined,
    released: () => undefined,
    synced: () => Promise.reject(new Error("This device is in no room")),
    links: createState(new Map()),
  }
}
