import { parseInvite, RoomError } from "@dunlin/core"

/** Routes live in the fragment as `#/…`; anything else there is treated as an invite. */
export function inviteInHash(hash: string): string | null {
  const text = hash.replace(/^#/, "")
  return text === "" || text.startsWith("/") ? null : text
}

/** Removes the invite from the address at once, before anything can log, share or bookmark it. */
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

/** Identifies the workspace of an invite, so that its data opens even without a room. */
export function readInvite(text: string): InviteReading {
  // The text around a link may have a # of its own.
  const [bare = "", ...behindHash] = text.split("#")
  const readings = (behindHash.length === 0 ? [bare] : behindHash).map(readPart)
  const wanted = (["invite", "too-new"] as const).find((type) => readings.some((one) => one.type === type))
  return readings.find((one) => one.type === wanted) ?? { type: "damaged" }
}

function readPart(part: string): InviteReading {
  // People copy what surrounds a link as well, and mail programs break a link into lines.
  const whole = SURROUNDED.exec(part)?.[0]
  const reading = whole === undefined ? null : readExactly(whole)
  return reading?.type === "invite" ? reading : readExactly(part.replaceAll(/\s/g, ""))
}

/** The shortest invite has 74 characters. */
const SURROUNDED = /[\w-]{74,}/
/** A newer invite has a workspace and a key as well: any word would do otherwise, since its first byte is the version. */
const MAYBE_INVITE = /^[\w-]{64,}$/

function readExactly(invite: string): InviteReading {
  try {
    return { type: "invite", workspaceId: parseInvite(invite).roomId, invite }
  } catch (error) {
    const isNewer = error instanceof RoomError && error.code === "invite-too-new"
    return { type: isNewer && MAYBE_INVITE.test(invite) ? "too-new" : "damaged" }
  }
}

/** Whether the page's address works on another device. An address of this computer alone does not. */
export function reachesOtherDevices(): boolean {
  return !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)
}
