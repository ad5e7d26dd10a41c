import { createState, type ReplicaHost } from "@dunlin/core"

/** Where no room can be, documents are edited and kept all the same, and shared with nobody. */
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
