import {
  decodeInvite,
  encodeInvite,
  generateInvite,
  type Invite,
  inviteOfTopic,
  isInviteDefect,
} from "../crypto/invite.ts"
import { errorText } from "../ports/error-text.ts"
import { systemRandom } from "../ports/random.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { RoomError } from "./room.ts"

/**
 * Makes an invite to a new room, as text for a URL fragment. Whoever gets it is a member. Throws `RoomError`
 * "invalid-option" for more than 8 servers, or for one that is not a ws: or wss: URL.
 */
export function createInvite(options: { readonly servers?: readonly string[] } = {}): string {
  return encode(generateInvite(systemRandom(), options.servers ?? []))
}

/**
 * Makes the invite to a room that is known by a plain topic. Without `secret` the topic is the secret: then everyone who
 * can guess it is a member.
 */
export function topicInvite(
  topic: string,
  options: { readonly secret?: string; readonly servers?: readonly string[] } = {},
): string {
  return encode(inviteOfTopic(topic, options))
}

/** What an invite says besides its secret. */
export interface ParsedInvite {
  /** 32 hex digits; not secret, but the server never learns it. */
  readonly roomId: string
  /** Counts the secrets that the room has had. Nothing renews them yet, so it is 0. */
  readonly epoch: number
  /** Signaling servers, at most 8; used by `webrtc()` when it is given none. */
  readonly servers: readonly string[]
}

/** Reads an invite in any form that `openRoom` takes, and opens nothing. Throws `RoomError` "bad-invite" or "invite-too-new". */
export function parseInvite(text: string): ParsedInvite {
  const { roomId, epoch, servers } = readInvite(text)
  return { roomId: bytesToHex(roomId), epoch, servers }
}

/** Like `parseInvite`, but with the secret: for the room alone. */
export function readInvite(text: string): Invite {
  const invite = decodeInvite(text)
  if (!isInviteDefect(invite)) return invite
  const advice =
    invite.code === "invite-too-new"
      ? "Update this app, or ask for an invite from an older one."
      : "Ask for the link again and copy all of it."
  throw new RoomError(invite.code, `This invite cannot be used here: ${invite.reason}. ${advice}`)
}

function encode(invite: Invite): string {
  try {
    return encodeInvite(invite)
  } catch (cause) {
    throw new RoomError("invalid-option", errorText(cause), { cause })
  }
}
