// The least that a room can replicate: numbers by key, the larger wins. Here a change costs what the room costs.
import type { AttachedReplica, Replica, ReplicaHost } from "@dunlin/core"

export interface Numbers {
  put(key: string, value: number): void
  /** Calls `listener` with each entry that a peer sent, one at a time. */
  listen(listener: (key: string, value: number) => void): void
}

const NOTHING = new Uint8Array(0)

export function createNumberReplica(name: string): Replica<Numbers> {
  const valueByKey = new Map<string, number>()
  let listener: (key: string, value: number) => void = () => {}

  const held = (key: string): Uint8Array => {
    const value = valueByKey.get(key)
    return value === undefined ? NOTHING : encode(value)
  }
  const hashOf = (key: string): Uint8Array | null => (valueByKey.has(key) ? hash(held(key)) : null)
  const handleOf = (host: ReplicaHost): Numbers => ({
    put(key, value) {
      const before = hashOf(key)
      valueByKey.set(key, value)
      host.changed([{ key, before, stateHash: hashOf(key), delta: encode(value) }])
    },
    listen(given) {
      listener = given
    },
  })
  const attachedTo = (host: ReplicaHost): AttachedReplica<Numbers> => ({
    handle: handleOf(host),
    async *scan() {
      yield {
        entries: [...valueByKey.keys()].map((key) => ({ key, stateHash: hashOf(key) })),
        cursor: NOTHING,
      }
    },
    loadIndex: async () => null,
    saveIndex: async () => {},
    summarize: async (keys) => keys.map(held),
    read: async (requests) =>
      requests.map(({ key }) => {
        const stateHash = hashOf(key)
        return stateHash === null ? { type: "none" } : { type: "delta", stateHash, delta: held(key) }
      }),
    join: async (entries) =>
      entries.map(({ key, delta }) => {
        const before = hashOf(key)
        const mine = valueByKey.get(key) ?? Number.NEGATIVE_INFINITY
        const theirs = decode(delta)
        const changed = theirs > mine
        if (changed) {
          valueByKey.set(key, theirs)
          // After the room has counted the entry as joined, which is when an application would hear of it.
          queueMicrotask(() => listener(key, theirs))
        }
        const senderLacks = theirs < mine ? delta : null
        return { type: "joined", changed, before, stateHash: hash(held(key)), senderLacks }
      }),
    detach: async () => {},
  })
  return {
    name,
    kind: 200,
    schemaTag: "number/1",
    direction: "both",
    attach: async (host) => attachedTo(host),
  }
}

function encode(value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setFloat64(0, value)
  return bytes
}

function decode(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getFloat64(0)
}

/** A number is shorter than its hash would be. */
function hash(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(32)
  whole.set(bytes)
  return whole
}
