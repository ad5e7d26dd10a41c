import { ByteWriter } from "../protocol/byte-writer.ts"
import type { Invite } from "./invite.ts"
import { hkdf, importAesKey, label } from "./primitives.ts"

/** What a room derives from its secret. Every key is bound to room and epoch. */
export interface RoomKeys {
  readonly roomId: Uint8Array
  readonly epoch: number
  /** All that a signaling server learns of the room. */
  readonly topic: Uint8Array
  /** Seals signaling envelopes. */
  readonly signalKey: CryptoKey
  /** Proves membership in the handshake. */
  readonly psk: Uint8Array
  /** Keys positions and digests, so that outsiders cannot craft collisions. */
  readonly digestKey: Uint8Array
  /** Names room and epoch in local storage, locks and channels, and reveals neither. */
  readonly roomTag: Uint8Array
}

export async function deriveRoomKeys({ roomId, epoch, secret }: Invite): Promise<RoomKeys> {
  const derive = (name: string): Promise<Uint8Array<ArrayBuffer>> =>
    hkdf(secret, roomId, new ByteWriter(32).bytes(label(name)).u32(epoch).finish())
  const [topic, signal, psk, digestKey, roomTag] = await Promise.all(
    ["topic", "signal", "psk", "digest", "tag"].map(derive) as [Derived, Derived, Derived, Derived, Derived],
  )
  return { roomId, epoch, topic, signalKey: await importAesKey(signal), psk, digestKey, roomTag }
}

type Derived = Promise<Uint8Array<ArrayBuffer>>
