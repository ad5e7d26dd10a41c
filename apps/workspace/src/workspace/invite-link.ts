/** Routes live in the fragment as `#/…`; anything else there is taken for an invite. */
export function inviteInHash(hash: string): string | null {
  const text = hash.replace(/^#/, "")
  return text === "" || text.startsWith("/") ? null : text
}

/** Takes the invite out of the address at once, before anything can log, share or bookmark it. */
export function takeInvite(): string | null {
  const invite = inviteInHash(location.hash)
  if (invite !== null) history.replaceState(null, "", `${location.pathname}${location.search}#/documents`)
  return invite
}

export function inviteLink(invite: string): string {
  return `${location.origin}${location.pathname}#${invite.replace(/^#/, "")}`
}

export type InviteReading =
  | { readonly type: "invite"; readonly workspaceId: string; readonly invite: string }
  | { readonly type: "damaged" }
  | { readonly type: "too-new" }

/** Version, suite, room id, epoch, secret: what must be there for a link to lead anywhere. */
const MIN_BYTES = 1 + 1 + 16 + 4 + 32
const KNOWN_VERSION = 1

/** Names the workspace of an invite, so that its data opens even where no room can. */
export function readInvite(text: string): InviteReading {
  const invite = text.slice(text.lastIndexOf("#") + 1).trim()
  const bytes = fromBase64Url(invite)
  if (bytes === null || bytes.length < 2) return { type: "damaged" }
  if ((bytes[0] ?? 0) > KNOWN_VERSION || (bytes[1] ?? 0) > KNOWN_VERSION) return { type: "too-new" }
  if (bytes[0] !== KNOWN_VERSION || bytes[1] !== KNOWN_VERSION || bytes.length < MIN_BYTES) {
    return { type: "damaged" }
  }
  const id = Array.from(bytes.subarray(2, 18), (byte) => byte.toString(16).padStart(2, "0")).join("")
  return { type: "invite", workspaceId: id, invite }
}

function fromBase64Url(text: string): Uint8Array | null {
  if (text.length > 8_192 || !/^[A-Za-z0-9_-]+$/.test(text)) return null
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"))
    return Uint8Array.from(binary, (character) => character.charCodeAt(0))
  } catch {
    return null
  }
}
