/**
 * The frames of a session. Byte layouts are in PROTOCOL.md and frozen by `vectors/frames.json`;
 * the union below is the specification that the codec in `frame-codec.ts` follows.
 */
export type Frame =
  | HelloFrame
  | AnnounceFrame
  | { readonly type: "withdraw"; readonly slot: number }
  | RangeFrame
  | RangeAckFrame
  /** Entries worth asking for at once, such as those newer than the last common root. */
  | { readonly type: "offer"; readonly slot: number; readonly items: readonly HaveItem[] }
  | { readonly type: "want"; readonly slot: number; readonly items: readonly WantItem[] }
  /** Entries that were asked for and that the sender will not send: gone, impossible to send, or refused by the receiver. */
  | { readonly type: "withheld"; readonly slot: number; readonly positions: readonly Uint8Array[] }
  | DataFrame
  | PushFrame
  | { readonly type: "have"; readonly slot: number; readonly items: readonly HaveItem[] }
  /** The sender already had the change: announce further changes on this link by HAVE, until one is wanted. */
  | { readonly type: "prune"; readonly slot: number }
  /** Entries (DATA and PUSH) processed so far, per lane, in order: each is durable, refused or asked for again. */
  | { readonly type: "ack"; readonly control: number; readonly bulk: number }
  | { readonly type: "nak"; readonly slot: number; readonly items: readonly NakItem[] }
  | RootFrame
  /** Bytes of DATA, PUSH, CHUNK and FRAGMENT frames that the receiver may send in total, counted since the link opened. */
  | { readonly type: "credit"; readonly total: number }
  /** Session ids the sender is linked to. */
  | { readonly type: "links"; readonly sessions: readonly Uint8Array[] }
  | { readonly type: "presence"; readonly value: Uint8Array | null }
  | PresenceRelayFrame
  | ChunkWantFrame
  | ChunkFrame
  | { readonly type: "ping"; readonly nonce: number }
  | { readonly type: "pong"; readonly nonce: number }
  | FragmentFrame
  | { readonly type: "bye"; readonly reason: string }
  | SyncedWantFrame
  | SyncedAnswerFrame

/** How a device stands to the entries waited for. "no-peers": it is not expected to take them. */
export type Holding = "synced" | "no-peers" | "refused" | "pending"

/** Sent between sessions of one device: asks at which other devices everything is durable that the receiver holds now. */
export interface SyncedWantFrame {
  readonly type: "synced-want"
  readonly nonce: number
  /** Takes back the question with this nonce. */
  readonly over: boolean
  readonly slots: readonly number[]
  /** Only these entries; if empty, all of the replicas. */
  readonly positions: readonly Uint8Array[]
}

/** The devices that the sender is linked to. Sent at once, and again whenever it changes. */
export interface SyncedAnswerFrame {
  readonly type: "synced-answer"
  readonly nonce: number
  /** `device` is a public key, 32 bytes; one with several links may be named several times. */
  readonly devices: readonly { readonly device: Uint8Array; readonly holding: Holding }[]
}

export interface HelloFrame {
  readonly type: "hello"
  readonly version: number
  /** 16 bytes; must repeat what the handshake proved. */
  readonly session: Uint8Array
  /** The longest message the sender takes, in bytes. */
  readonly maxMessageBytes: number
  /** The sender takes no entries from the receiver: to it, the receiver is a reader. */
  readonly refusesEntries: boolean
}

/** A replica the sender shares. `slot` names it in all further frames of the sender. Sent again when it changes. */
export interface AnnounceFrame {
  readonly type: "announce"
  readonly slot: number
  readonly name: string
  readonly kind: number
  readonly schemaTag: string
  readonly direction: "both" | "send-only" | "receive-only"
  readonly count: number
  readonly root: Uint8Array
  /** The last root that sender and receiver had in common, as far as the sender remembers. */
  readonly basis: Uint8Array | null
}

/** A request of the initiator, or a reply to one. Stands alone; the responder keeps no state between frames. */
export interface RangeFrame {
  readonly type: "range"
  readonly slot: number
  readonly salt: number
  readonly sequence: number
  readonly reply: boolean
  /** Bytes of RANGE frames that the reply may take; 0 in replies. */
  readonly grant: number
  /** Encoded records, see `range-record.ts`. */
  readonly records: Uint8Array
}

export interface RangeAckFrame {
  readonly type: "range-ack"
  readonly slot: number
  readonly salt: number
  readonly sequence: number
  /** Records of the request that were answered; fewer than asked when the grant was used up. */
  readonly answered: number
  /** The responder is busy reconciling with another peer: ask again when it sends ROOT. */
  readonly later: boolean
}

export interface WantItem {
  readonly position: Uint8Array
  readonly summary: Uint8Array
}

export interface HaveItem {
  readonly position: Uint8Array
  /** 8 bytes; of a longer one only these are sent. */
  readonly digest: Uint8Array
}

export interface NakItem {
  readonly position: Uint8Array
  /** 8 bytes: what was refused. */
  readonly digest: Uint8Array
  /**
   * True when the receiver could not take the entry now and still lacks it; its acknowledgement then confirms nothing.
   * False when it will not take the entry as long as the digest is the same.
   */
  readonly again: boolean
  readonly reason: string
}

/** An entry that was asked for, that reconciliation found missing at the receiver, or that answers another DATA or PUSH. */
export interface DataFrame {
  readonly type: "data"
  readonly slot: number
  readonly kind: number
  readonly key: string
  /** 8 bytes: the sender's digest. */
  readonly digest: Uint8Array
  readonly delta: Uint8Array
}

/** A live change. */
export interface PushFrame {
  readonly type: "push"
  readonly slot: number
  readonly kind: number
  readonly key: string
  /** 8 bytes each, of longer ones only these are sent; `before` is zero where there was no entry. */
  readonly before: Uint8Array
  readonly after: Uint8Array
  readonly delta: Uint8Array
}

export interface RootFrame {
  readonly type: "root"
  readonly roots: readonly RootItem[]
}

export interface RootItem {
  readonly slot: number
  readonly count: number
  readonly root: Uint8Array
  /** Nothing is under way from the sender for this replica. */
  readonly settled: boolean
  /** The sender wants the receiver's root in return. */
  readonly answer: boolean
  /** The sender knows that nothing more can be exchanged, whether the roots are equal or not. */
  readonly agreed: boolean
}

/** Presence of a peer that may be several links away, signed by its device. */
export interface PresenceRelayFrame {
  readonly type: "presence-relay"
  /** 16 bytes. */
  readonly session: Uint8Array
  /** Public key, 32 bytes. */
  readonly device: Uint8Array
  /** Grows with every signature of the session. */
  readonly sequence: number
  /** Milliseconds since the signature, as counted by the relays on the way. Not itself signed. */
  readonly ageMs: number
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array
  readonly value: Uint8Array | null
}

export interface ChunkWantFrame {
  readonly type: "chunk-want"
  readonly slot: number
  readonly position: Uint8Array
  readonly blob: Uint8Array
  readonly size: number
  readonly first: number
  /** Bit i asks for chunk `first + i`, lowest bit first. */
  readonly bitmap: Uint8Array
}

export interface ChunkFrame {
  readonly type: "chunk"
  readonly slot: number
  readonly position: Uint8Array
  readonly blob: Uint8Array
  readonly index: number
  /** Empty when the sender does not hold the chunk. */
  readonly bytes: Uint8Array
}

/** A piece of one encoded frame that is longer than a message. Pieces come in order, and of one frame after the other. */
export interface FragmentFrame {
  readonly type: "fragment"
  /** Bytes of the whole frame; the same in every piece. */
  readonly size: number
  readonly bytes: Uint8Array
}
