/** Protocol version in HELLO; another one ends the link. */
export const PROTOCOL_VERSION = 1

/** Messages on the control lane: short, so that a keystroke never waits behind a long one. */
export const CONTROL_MESSAGE_BYTES = 16_384
/** Messages on the bulk lane, unless the receiver's HELLO allows less: long enough for throughput, see PROTOCOL.md. */
export const BULK_MESSAGE_BYTES = 65_536
/** The least that HELLO may allow: every frame of the control lane fits into a message of this size. */
export const MIN_MESSAGE_BYTES = 16_384
/** The most that a RANGE request may grant to its reply. */
export const MAX_GRANT_BYTES = 262_144
/** Records of one RANGE frame: what a control message has room for besides the frame's header. */
export const MAX_RANGE_BYTES: number = CONTROL_MESSAGE_BYTES - 32

export const SESSION_ID_BYTES = 16
/** Ed25519. */
export const DEVICE_KEY_BYTES = 32
export const SIGNATURE_BYTES = 64
export const POSITION_BYTES = 16
export const DIGEST_BYTES = 16
/** Digests on entry frames are cut to this; the ROOT comparison catches a collision. */
export const SHORT_DIGEST_BYTES = 8
export const BLOB_DIGEST_BYTES = 32

/** Replicas that a side announces at a time. */
export const MAX_REPLICAS = 256
/** A room never uses a slot twice, so this is how many replicas it can open until it is closed. */
export const MAX_SLOTS = 65_536
export const MAX_NAME_BYTES = 128
export const MAX_KEY_BYTES = 4_096
export const MAX_SUMMARY_BYTES = 262_144
/** The largest entry that a peer may send, all fragments together. */
export const MAX_ENTRY_BYTES = 33_554_432
export const MAX_REASON_BYTES = 256
export const MAX_LINKS_ANNOUNCED = 256
export const MAX_PRESENCE_BYTES = 2_048
export const CHUNK_BYTES = 65_536
/** 16 GiB, which are 262,144 chunks. */
export const MAX_BLOB_BYTES = 17_179_869_184

/** Items of WANT, HAVE, OFFER and NAK in one frame. */
export const MAX_ITEMS = 1_024
/** A change with a longer delta is announced by HAVE instead of pushed, and sent as DATA when wanted. */
export const MAX_PUSH_BYTES = 12_288
/** Payload of one fragment: a bulk message carries one with its header. */
export const FRAGMENT_BYTES = 61_440
/** The least in any fragment but a frame's last: a million tiny ones would take more memory than they carry. */
export const MIN_FRAGMENT_BYTES = 512
/** Entries of one lane sent but not acknowledged. Credit does not bound them, because it returns out of order. */
export const MAX_UNACKNOWLEDGED = 131_072
/** Bytes of payload frames that a peer may have under way to us before we return credit. */
export const CREDIT_WINDOW_BYTES = 2_097_152
/** Bytes of unfinished fragments held per link. One larger entry at a time is admitted per room. */
export const REASSEMBLY_BYTES = 4_194_304
