import { concatBytes } from "@noble/hashes/utils.js"
import type { Random } from "../ports/random.ts"
import { compareBytes } from "../protocol/byte-order.ts"
import { ByteReader } from "../protocol/byte-reader.ts"
import { ByteWriter } from "../protocol/byte-writer.ts"
import { NO_BYTES, sameBytes } from "../protocol/same-bytes.ts"
import { sha256 } from "../protocol/sha256.ts"
import type { DeviceKey } from "./identity.ts"
import {
  agree,
  type EphemeralKey,
  generateEphemeralKey,
  hkdf,
  importAesKey,
  label,
  seal,
  unseal,
  verify,
} from "./primitives.ts"

/**
 * Mutual proof of membership and of device keys, bound to the certificates of the path below. Both sides speak at once:
 *
 *     1st, 84 B:   version 1 | suite 1 | flags 2 | session id 16 | nonce 32 | ephemeral X25519 32
 *     2nd, 112 B:  AES-GCM(role key, nonce 0, AAD = transcript, device key 32 ‖ Ed25519 signature 64)
 *
 * Somebody in the middle of the path shows each side a different certificate, so the two sides get different transcripts
 * and keys.
 */
export type HandshakeStep =
  | { readonly type: "reply"; readonly message: Uint8Array }
  | { readonly type: "proven"; readonly peer: ProvenPeer }
  | { readonly type: "failed"; readonly code: HandshakeFailure }

export type HandshakeFailure =
  | "bad-length"
  | "unknown-version"
  | "unknown-suite"
  | "unknown-flags"
  | "equal-messages" // our own first message came back
  | "own-session" // this very session, or somebody who copied its id
  | "reflected" // our ephemeral key or our proof came back
  | "low-order-point" // would make the shared secret known to everyone
  | "wrong-key" // no member of this room and epoch, or somebody sits in the middle
  | "bad-signature" // does not have the private half of the device key it shows
  | "unexpected-message" // after the end

export interface ProvenPeer {
  readonly session: Uint8Array
  readonly device: Uint8Array
  readonly role: HandshakeRole
  /** 32 bytes that both sides share and nobody else can reproduce. */
  readonly transcript: Uint8Array
  /** For the record layer, where the path below has no encryption of its own. */
  readonly recordKeys: { readonly send: CryptoKey; readonly receive: CryptoKey }
}

export type HandshakeRole = "offerer" | "answerer"

export interface HandshakeOptions {
  /** "undecided": the side with the smaller first message counts as the offerer. */
  readonly role: HandshakeRole | "undecided"
  readonly roomId: Uint8Array
  readonly epoch: number
  readonly psk: Uint8Array
  /** SHA-256 fingerprints of the certificates below, as applied; null on paths without. */
  readonly binding: { readonly local: Uint8Array; readonly remote: Uint8Array } | null
  readonly session: Uint8Array
  readonly device: DeviceKey
  readonly random: Random
  /** Fresh unless given; only the frozen vectors give one. */
  readonly ephemeral?: EphemeralKey
}

export interface Handshake {
  /** To be sent at once. */
  readonly first: Uint8Array
  /** Takes the remote's messages in order. Await each call before the next. */
  receive(message: Uint8Array): Promise<HandshakeStep>
}

const FIRST_MESSAGE_BYTES = 84
const PROOF_MESSAGE_BYTES = 112

const VERSION = 1
const SUITE = 1
const NO_CERTIFICATE = new Uint8Array(32)
/** Each proof key seals exactly one message, so that a constant nonce never repeats. */
const PROOF_NONCE = new Uint8Array(12)

type State =
  | { readonly phase: "greeting" }
  | { readonly phase: "proving"; readonly agreed: Agreement }
  | { readonly phase: "over" }

interface Agreement {
  readonly role: HandshakeRole
  readonly remoteSession: Uint8Array
  readonly transcript: Uint8Array
  readonly remoteProofKey: CryptoKey
  readonly recordKeys: ProvenPeer["recordKeys"]
  readonly ownProof: Uint8Array
}

export async function createHandshake(options: HandshakeOptions): Promise<Handshake> {
  const ephemeral = options.ephemeral ?? (await generateEphemeralKey())
  const first = writeFirst(options, ephemeral)
  let state: State = { phase: "greeting" }

  const fail = (code: HandshakeFailure): HandshakeStep => {
    state = { phase: "over" }
    return { type: "failed", code }
  }

  return {
    first,
    async receive(message) {
      switch (state.phase) {
        case "greeting": {
          const agreed = await agreeOn(message, first, ephemeral, options)
          if (typeof agreed === "string") return fail(agreed)
          state = { phase: "proving", agreed }
          return { type: "reply", message: agreed.ownProof }
        }
        case "proving": {
          const device = await checkProof(message, state.agreed)
          if (typeof device === "string") return fail(device)
          const { remoteSession, role, transcript, recordKeys } = state.agreed
          state = { phase: "over" }
          return { type: "proven", peer: { session: remoteSession, device, role, transcript, recordKeys } }
        }
        case "over":
          return fail("unexpected-message")
      }
    },
  }
}

function writeFirst({ session, random }: HandshakeOptions, ephemeral: EphemeralKey): Uint8Array {
  return new ByteWriter(FIRST_MESSAGE_BYTES)
    .u8(VERSION)
    .u8(SUITE)
    .u16(0)
    .bytes(session)
    .bytes(random.bytes(32))
    .bytes(ephemeral.publicKey)
    .finish()
}

/** Derives the agreement and our proof, once both first messages are known. */
async function agreeOn(
  remoteFirst: Uint8Array,
  first: Uint8Array,
  ephemeral: EphemeralKey,
  options: HandshakeOptions,
): Promise<Agreement | HandshakeFailure> {
  if (remoteFirst.length !== FIRST_MESSAGE_BYTES) return "bad-length"
  const read = new ByteReader(remoteFirst)
  if (read.u8() !== VERSION) return "unknown-version"
  if (read.u8() !== SUITE) return "unknown-suite"
  if (read.u16() !== 0) return "unknown-flags"
  const order = compareBytes(first, remoteFirst)
  if (order === 0) return "equal-messages"
  const remoteSession = read.bytes(16).slice()
  read.bytes(32)
  const remoteEphemeral = read.bytes(32)
  if (sameBytes(remoteEphemeral, ephemeral.publicKey)) return "reflected"
  if (sameBytes(remoteSession, options.session)) return "own-session"

  const role = options.role === "undecided" ? (order < 0 ? "offerer" : "answerer") : options.role
  const shared = await agree(ephemeral.privateKey, remoteEphemeral)
  if (shared === null) return "low-order-point"

  const transcript = hashTranscript(role, first, remoteFirst, options)
  const master = await hkdf(shared, options.psk, concatBytes(label("hs-master"), transcript))
  const derive = async (name: string): Promise<CryptoKey> =>
    importAesKey(await hkdf(master, NO_BYTES, label(name)))
  const remoteRole = otherRole(role)
  const [ownProofKey, remoteProofKey, send, receive] = await Promise.all([
    derive(`hs ${role}`),
    derive(`hs ${remoteRole}`),
    derive(`rec ${role}`),
    derive(`rec ${remoteRole}`),
  ])
  const { device } = options
  const signature = await device.sign(proofText(role, transcript, device.publicKey))
  const ownProof = await seal(ownProofKey, PROOF_NONCE, concatBytes(device.publicKey, signature), transcript)
  return { role, remoteSession, transcript, remoteProofKey, recordKeys: { send, receive }, ownProof }
}

/** The remote's device key if it has proved that it has the private half, otherwise what is wrong. */
async function checkProof(
  message: Uint8Array,
  { role, transcript, remoteProofKey, ownProof }: Agreement,
): Promise<Uint8Array | HandshakeFailure> {
  if (message.length !== PROOF_MESSAGE_BYTES) return "bad-length"
  if (sameBytes(message, ownProof)) return "reflected"
  const proof = await unseal(remoteProofKey, PROOF_NONCE, message, transcript)
  if (proof === null) return "wrong-key"
  const device = proof.slice(0, 32)
  const text = proofText(otherRole(role), transcript, device)
  return (await verify(device, proof.subarray(32), text)) ? device : "bad-signature"
}

function otherRole(role: HandshakeRole): HandshakeRole {
  return role === "offerer" ? "answerer" : "offerer"
}

function hashTranscript(
  role: HandshakeRole,
  first: Uint8Array,
  remoteFirst: Uint8Array,
  { roomId, epoch, binding }: HandshakeOptions,
): Uint8Array {
  const local = binding?.local ?? NO_CERTIFICATE
  const remote = binding?.remote ?? NO_CERTIFICATE
  const ordered =
    role === "offerer" ? [local, remote, first, remoteFirst] : [remote, local, remoteFirst, first]
  const head = new ByteWriter(64).bytes(label("hs")).bytes(roomId).u32(epoch).finish()
  return sha256(concatBytes(head, ...ordered))
}

function proofText(role: HandshakeRole, transcript: Uint8Array, device: Uint8Array): Uint8Array {
  const roleByte = Uint8Array.of(role === "offerer" ? 0 : 1)
  return concatBytes(label("hs-auth"), roleByte, transcript, device)
}
