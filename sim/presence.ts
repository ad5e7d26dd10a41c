import { createHash } from "node:crypto"
import type { PresenceSigner } from "@dunlin/core/testing"
import type { Device, Process } from "./device.ts"
import { type Edge, otherEnd } from "./edge.ts"

/** The presence of others as one process was told it, by session. */
export interface PresenceSeen {
  readonly textBySession: ReadonlyMap<string, string>
  receive(session: string, value: Uint8Array | null): void
}

export function createPresenceSeen(): PresenceSeen {
  const textBySession = new Map<string, string>()
  return {
    textBySession,
    receive(session, value) {
      if (value === null) textBySession.delete(session)
      else textBySession.set(session, Buffer.from(value).toString())
    },
  }
}

/** Replaces Ed25519, whose timing differs from run to run: anybody who knows a device's key can make its signature. */
export function presenceSigner(device: string): PresenceSigner {
  return {
    sign: async (message) => signatureOf(Buffer.from(device, "hex"), message),
    verify: async (signedBy, message, signature) =>
      Buffer.compare(signatureOf(signedBy, message), signature) === 0,
  }
}

function signatureOf(device: Uint8Array, message: Uint8Array): Uint8Array {
  return createHash("sha512").update(device).update(message).digest()
}

/** Names somebody who is shown but gone; null if there is nobody. */
export function findGhost(devices: readonly Device[]): string | null {
  const sessions = new Set(devices.flatMap(({ process }) => (process === null ? [] : [process.session])))
  for (const { index, process } of devices) {
    for (const session of process?.presence.textBySession.keys() ?? []) {
      if (!sessions.has(session)) return `${index} shows ${session.slice(0, 6)}, who is gone`
    }
  }
  return null
}

/** Names somebody who is there but not shown, or shown with outdated presence; null if all are shown. */
export function findUnseen(devices: readonly Device[], edges: readonly Edge[]): string | null {
  for (const viewer of devices) {
    if (viewer.process === null) continue
    for (const other of reachableFrom(viewer, edges)) {
      const { session, said } = other.process as Process
      const seen = viewer.process.presence.textBySession.get(session) ?? null
      if (seen !== said) return `${viewer.index} shows ${other.index} as ${seen}, who says ${said}`
    }
  }
  return null
}

/** Presence goes over every link, whatever documents the two have in common. */
function reachableFrom(first: Device, edges: readonly Edge[]): ReadonlySet<Device> {
  const reached = new Set([first])
  for (const device of reached) {
    for (const edge of edges) {
      const other = otherEnd(edge, device)
      if (other?.process != null) reached.add(other)
    }
  }
  reached.delete(first)
  return reached
}
