import { type Replica, systemClock, systemRandom } from "@dunlin/core"
import { createSyncEngine, type LinkInput, type SecureLink, type SyncEngine } from "@dunlin/core/testing"

export interface EngineNode {
  readonly engine: SyncEngine
  readonly session: string
  readonly device: string
  readonly events: string[]
}

export interface EngineLink {
  /** Message bytes so far, both directions. */
  bytes(): number
  messages(): number
  cut(): void
}

/** An engine as a room runs it, over real time. */
export function createEngineNode(): EngineNode {
  const random = systemRandom()
  const sessionId = random.bytes(16)
  const device = Buffer.from(random.bytes(32)).toString("hex")
  const events: string[] = []
  const engine = createSyncEngine({
    clock: systemClock(),
    random,
    sessionId,
    device,
    digestKey: new Uint8Array(32).fill(7),
    roomTag: new Uint8Array(32).fill(8),
    events: {
      presence: () => {},
      replicaReport: (replica, report) => void events.push(`${replica} ${report.type}: ${report.reason}`),
      violation: (_session, code, detail) => void events.push(`violation ${code}: ${detail}`),
      reconciled: () => {},
      refused: (_session, replica, reason, by) =>
        void events.push(`refused by ${by} in ${replica}: ${reason}`),
    },
  })
  return { engine, session: Buffer.from(sessionId).toString("hex"), device, events }
}

/** Links two engines directly: no handshake, no encryption, in order, each message in a task of its own. */
export function linkEngines(a: EngineNode, b: EngineNode): EngineLink {
  const inputs: { a: LinkInput | null; b: LinkInput | null } = { a: null, b: null }
  let bytes = 0
  let messages = 0
  let open = true
  const end = (to: "a" | "b", remote: EngineNode): SecureLink => ({
    session: remote.session,
    device: remote.device,
    role: "writer",
    maxMessageBytes: 262_144,
    send(lane, message) {
      if (!open) return
      bytes += message.length
      messages += 1
      const copy = message.slice()
      setImmediate(() => {
        if (open) inputs[to]?.message(lane, copy)
      })
    },
    buffered: () => 0,
    close: () => cut(),
  })
  const cut = (): void => {
    if (!open) return
    open = false
    inputs.a?.closed("cut")
    inputs.b?.closed("cut")
  }
  inputs.a = a.engine.addLink(end("b", b))
  inputs.b = b.engine.addLink(end("a", a))
  return { bytes: () => bytes, messages: () => messages, cut }
}

export async function shareOn<Handle>(
  replica: Replica<Handle>,
): Promise<{ readonly node: EngineNode; readonly handle: Handle }> {
  const node = createEngineNode()
  return { node, handle: await node.engine.replicate(replica) }
}
