import { concatBytes } from "@noble/hashes/utils.js"
import type { Random } from "../ports/random.ts"
import { ByteReader } from "../protocol/byte-reader.ts"
import { ByteWriter } from "../protocol/byte-writer.ts"
import { DecodeError } from "../protocol/decode-error.ts"
import { sha256 } from "../protocol/sha256.ts"
import { encodeUtf8 } from "../protocol/utf8.ts"
import { fromBase64Url, label, toBase64Url } from "./primitives.ts"

/**
 * `version u8 | suite u8 | roomId 16 | epoch u32 | secret 32`, then server count u8 and the URLs as varint-counted
 * text, all base64url. Whoever holds the text is a member: it belongs in URL fragments, never in requests or logs.
 */
export interface Invite {
  readonly roomId: Uint8Array
  readonly epoch: number
  readonly secret: Uint8Array
  /** Signaling servers, ws: or wss: URLs. */
  readonly servers: readonly string[]
}

/** Why a text is not an invite that this version can use. */
export interface InviteDefect {
  readonly code: "bad-invite" | "invite-too-new"
  /** The end of a sentence about the invite. */
  readonly reason: string
}

const INVITE_VERSION = 1
const SUITE = 1
const ROOM_ID_BYTES = 16
const SECRET_BYTES = 32
const MAX_SERVERS = 8
const TOO_MANY_SERVERS = `an invite names at most ${MAX_SERVERS} servers`
const MAX_SERVER_BYTES = 512
/** Longer text is refused before it is decoded. */
const MAX_INVITE_CHARS = 8 * 1024

/** A new room, known to nobody yet. */
export function generateInvite(random: Random, servers: readonly string[]): Invite {
  return { roomId: random.bytes(ROOM_ID_BYTES), epoch: 0, secret: random.bytes(SECRET_BYTES), servers }
}

/**
 * The room of a plain topic string. Without `secret` the topic itself is the secret, so a guessable topic makes a
 * guessable room.
 */
export function inviteOfTopic(
  topic: string,
  options: { readonly secret?: string; readonly servers?: readonly string[] } = {},
): Invite {
  const name = encodeUtf8(topic)
  const secret = options.secret === undefined ? name : encodeUtf8(options.secret)
  return {
    roomId: sha256(concatBytes(label("topic"), name)).slice(0, ROOM_ID_BYTES),
    epoch: 0,
    secret: sha256(concatBytes(label("topic secret"), secret)),
    servers: options.servers ?? [],
  }
}

/** Throws `RangeError` when a server is not a ws: or wss: URL, or is too long, or there are too many. */
export function encodeInvite(invite: Invite): string {
  if (invite.servers.length > MAX_SERVERS) {
    throw new RangeError(TOO_MANY_SERVERS)
  }
  const write = new ByteWriter(128)
    .u8(INVITE_VERSION)
    .u8(SUITE)
    .bytes(invite.roomId)
    .u32(invite.epoch)
    .bytes(invite.secret)
    .u8(invite.servers.length)
  for (const server of invite.servers) {
    const problem = problemOfServer(server)
    if (problem !== null) throw new RangeError(problem)
    if (encodeUtf8(server).length > MAX_SERVER_BYTES) throw new RangeError("server URL is too long")
    write.text(server)
  }
  return toBase64Url(write.finish())
}

/** Takes the bare text, a `#fragment`, or a whole URL that ends in one. */
export function decodeInvite(text: string): Invite | InviteDefect {
  // Programs without type checks may pass an invite that they do not have.
  if (typeof text !== "string") return bad("none was given")
  if (text.length > MAX_INVITE_CHARS) return bad(`longer than ${MAX_INVITE_CHARS} characters`)
  const code = text.slice(text.lastIndexOf("#") + 1).trim()
  if (code === "") return bad("it is empty")
  const bytes = fromBase64Url(code)
  if (bytes === null) return bad("it has characters that no invite has, or was cut off")
  try {
    return readInvite(new ByteReader(bytes))
  } catch (error) {
    if (error instanceof DecodeError) return bad("it was cut off or changed")
    throw error
  }
}

export function isInviteDefect(value: Invite | InviteDefect): value is InviteDefect {
  return "code" in value
}

/** Why this cannot be the address of a signaling server; null if it can. */
export function problemOfServer(url: string): string | null {
  const { protocol, hash } = URL.canParse(url) ? new URL(url) : { protocol: "", hash: "" }
  // A WebSocket refuses a URL with a fragment by throwing.
  const isUsable = (protocol === "ws:" || protocol === "wss:") && hash === "" && !url.endsWith("#")
  return isUsable ? null : `not the ws: or wss: URL of a signaling server: ${url}`
}

function readInvite(read: ByteReader): Invite | InviteDefect {
  const version = read.u8()
  if (version !== INVITE_VERSION) return unknownVersion("version", version, INVITE_VERSION)
  const suite = read.u8()
  if (suite !== SUITE) return unknownVersion("suite", suite, SUITE)
  const roomId = read.bytes(ROOM_ID_BYTES).slice()
  const epoch = read.u32()
  const secret = read.bytes(SECRET_BYTES).slice()
  const servers: string[] = []
  const count = read.u8()
  if (count > MAX_SERVERS) return bad(TOO_MANY_SERVERS)
  for (let index = 0; index < count; index++) {
    const server = read.text(MAX_SERVER_BYTES)
    const problem = problemOfServer(server)
    if (problem !== null) return bad(problem)
    servers.push(server)
  }
  read.end()
  return { roomId, epoch, secret, servers }
}

function unknownVersion(what: string, found: number, known: number): InviteDefect {
  if (found < known) return bad(`unknown ${what} ${found}`)
  return { code: "invite-too-new", reason: `it has ${what} ${found}, this app knows ${known}` }
}

function bad(reason: string): InviteDefect {
  return { code: "bad-invite", reason }
}
