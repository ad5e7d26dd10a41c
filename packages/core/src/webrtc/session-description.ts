import { hexToBytes } from "../protocol/hex.ts"
/** Why a description, which a stranger may have written, gives no fingerprint for the handshake to bind. */
export type DescriptionDefect =
  | "too-long"
  | "not-one-media" // anything but a single m=application
  | "no-fingerprint"
  | "several-fingerprints"
  | "weak-fingerprint" // another hash than SHA-256

const MAX_DESCRIPTION_CHARS = 16 * 1024

/** The SHA-256 fingerprint of the only certificate in it, 32 bytes. */
export function readFingerprint(sdp: string): Uint8Array | DescriptionDefect {
  if (sdp.length > MAX_DESCRIPTION_CHARS) return "too-long"
  const lines = sdp.split(/\r\n|\r|\n/)
  const media = lines.filter((line) => line.startsWith("m="))
  if (media.length !== 1 || !media[0]?.startsWith("m=application ")) return "not-one-media"
  const prints = new Set(
    lines.filter((line) => /^a=fingerprint:/i.test(line)).map((line) => line.slice(14).trim().toLowerCase()),
  )
  const [print] = prints
  if (print === undefined) return "no-fingerprint"
  if (prints.size > 1) return "several-fingerprints"
  const [, digits] = /^sha-256 ((?:[0-9a-f]{2}:){31}[0-9a-f]{2})$/.exec(print) ?? []
  return digits === undefined ? "weak-fingerprint" : hexToBytes(digits.replaceAll(":", ""))
}

/** Removes the candidates, so that all of them trickle. */
export function withoutCandidates(sdp: string): string {
  return sdp.replaceAll(/^a=(candidate:|end-of-candidates).*\s*/gm, "")
}

/** libdatachannel marks its descriptions in this way. */
export function isFromLibDataChannel(sdp: string): boolean {
  return /^o=rtc /m.test(sdp)
}
