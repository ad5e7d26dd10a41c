import type { Clock } from "../ports/clock.ts"
import { ByteWriter } from "../protocol/byte-writer.ts"
import type { PresenceRelayFrame } from "../protocol/frame.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { sameBytes } from "../protocol/same-bytes.ts"
import { encodeUtf8 } from "../protocol/utf8.ts"

/** Signs as this device and checks other devices' signatures: Ed25519. */
export interface PresenceSigner {
  sign(message: Uint8Array): Promise<Uint8Array>
  /** False for anything but a good signature; never throws. */
  verify(device: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>
}

export interface PresenceRelayOptions {
  readonly clock: Clock
  /** 32 bytes that name room and epoch. */
  readonly roomTag: Uint8Array
  /** Our session id, 16 bytes. */
  readonly session: Uint8Array
  /** Our device key, 32 bytes. */
  readonly device: Uint8Array
  readonly signer: PresenceSigner
  /** Passes a frame on to all peers except `from` and those linked to it; to all of them if `from` is null. */
  readonly send: (frame: PresenceRelayFrame, from: string | null) => void
  /** Whether we are linked to that session ourselves: if so, what it says itself counts more. */
  readonly isLinked: (session: string) => boolean
  /** Whether anybody is several links away, so that our value is worth refreshing. */
  readonly isNeeded: () => boolean
  readonly changed: (session: string, device: string, value: Uint8Array | null) => void
}

/** Presence of peers that are several links away. Each device signs its own value; relays only add to its age. */
export interface PresenceRelay {
  /** Our value changed, or not everyone in the room is linked any more. `again`: somebody has lost the value. */
  publish(value: Uint8Array | null, again?: boolean): void
  received(from: string, frame: PresenceRelayFrame): void
  /** What is known now, for a new link. */
  recent(): readonly PresenceRelayFrame[]
  close(): void
}

/** A value is forgotten this long after its device signed it, on the receiver's clock. */
const LIFETIME_MS = 75_000
const REFRESH_MS = 30_000
/** At most two a second: the signature is worth its cost only for what people see. */
const INTERVAL_MS = 500
const SWEEP_MS = 5_000
const MAX_KNOWN = 1_024
/** Signature checks under way at a time; a flood beyond that is dropped before any cryptography. */
const MAX_CHECKS = 64

interface Known {
  readonly frame: PresenceRelayFrame
  readonly receivedAt: number
}

export function createPresenceRelay(options: PresenceRelayOptions): PresenceRelay {
  const { clock, signer, session, device } = options
  const knownBySession = new Map<string, Known>()
  let value: Uint8Array | null = null
  let sequence = 0
  let signedAt = -Infinity
  let checks = 0
  let closed = false
  let cancelPublish: (() => void) | null = null
  let cancelSweep: (() => void) | null = null

  const signOwn = async (): Promise<void> => {
    // That there is no value is said only once: refreshed by a thousand peers, it would be most of what a large room says.
    cancelPublish = value === null ? null : clock.after(REFRESH_MS, refresh)
    signedAt = clock.monotonic()
    sequence++
    const own = { session, device, sequence, value }
    // A key that does not sign also fails every handshake, which is reported.
    const signature = await signer.sign(signedBytes(options.roomTag, own)).catch(() => null)
    if (!closed && signature !== null)
      options.send({ type: "presence-relay", ...own, ageMs: 0, signature }, null)
  }

  const refresh = (): void => {
    if (options.isNeeded()) void signOwn()
    else value = null
  }

  const ageOf = ({ frame, receivedAt }: Known): number =>
    Math.round(frame.ageMs + clock.monotonic() - receivedAt)

  const sweep = (): void => {
    cancelSweep = knownBySession.size > 0 && !closed ? clock.after(SWEEP_MS, sweep) : null
    for (const [id, known] of knownBySession) if (ageOf(known) > LIFETIME_MS) forget(id, known)
  }

  const forget = (id: string, { frame }: Known): void => {
    knownBySession.delete(id)
    if (!options.isLinked(id)) options.changed(id, bytesToHex(frame.device), null)
  }

  const isNews = (id: string, frame: PresenceRelayFrame): boolean => {
    const known = knownBySession.get(id)
    if (known !== undefined) {
      // The signature proves the device, not that the session belongs to it: the first device to name a session keeps it.
      return frame.sequence > known.frame.sequence && sameBytes(frame.device, known.frame.device)
    }
    return knownBySession.size < MAX_KNOWN
  }

  const check = async (from: string, id: string, frame: PresenceRelayFrame): Promise<void> => {
    checks++
    const receivedAt = clock.monotonic()
    const good = await signer.verify(frame.device, signedBytes(options.roomTag, frame), frame.signature)
    checks--
    // Another copy may have been checked meanwhile.
    if (closed || !good || !isNews(id, frame)) return
    const known = { frame, receivedAt }
    knownBySession.set(id, known)
    cancelSweep ??= clock.after(SWEEP_MS, sweep)
    if (!options.isLinked(id)) options.changed(id, bytesToHex(frame.device), frame.value)
    options.send({ ...frame, ageMs: ageOf(known) }, from)
  }

  return {
    publish(next, again = false) {
      // A value that stays the same is refreshed by its own timer.
      if (closed || (next === value && !again)) return
      value = next
      cancelPublish?.()
      const waitMs = Math.max(0, signedAt + INTERVAL_MS - clock.monotonic())
      cancelPublish = clock.after(waitMs, () => void signOwn())
    },
    received(from, frame) {
      const id = bytesToHex(frame.session)
      const foreign = id !== bytesToHex(session)
      if (closed || !foreign || frame.ageMs > LIFETIME_MS || checks >= MAX_CHECKS || !isNews(id, frame))
        return
      void check(from, id, frame)
    },
    recent: () => [...knownBySession.values()].map((known) => ({ ...known.frame, ageMs: ageOf(known) })),
    close() {
      closed = true
      cancelPublish?.()
      cancelSweep?.()
      knownBySession.clear()
    },
  }
}

/** "dunlin/1 presence" ‖ room tag 32 ‖ session 16 ‖ device 32 ‖ sequence u53 ‖ 0 or 1 ‖ value. */
export function signedBytes(
  roomTag: Uint8Array,
  { session, device, sequence, value }: Pick<PresenceRelayFrame, "session" | "device" | "sequence" | "value">,
): Uint8Array<ArrayBuffer> {
  const write = new ByteWriter(256).bytes(encodeUtf8("dunlin/1 presence")).bytes(roomTag).bytes(session)
  write
    .bytes(device)
    .u53(sequence)
    .u8(value === null ? 0 : 1)
  return value === null ? write.finish() : write.bytes(value).finish()
}
