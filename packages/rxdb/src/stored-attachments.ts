import type { RxCollection } from "rxdb"
import type { AttachmentStub, AttachmentStubs, DocumentData, Row } from "./document-shape.ts"
import { lengthsInStamp } from "./stamp.ts"

/** Digests and lengths, alternating. */
export type StampedLengths = readonly (string | number)[]

/** In a row that is about to be written, new attachments carry their data. */
type StubOrWrite = AttachmentStub & { readonly data?: Blob }

/**
 * How rows hold attachments: a storage that encrypts or compresses them states the length of what it stores, and RxDB's
 * compression marks the digest. Peers need the length and the digest of the data itself.
 */
export interface StoredAttachments {
  /** Stubs as peers know them; null when there are none. For a measured row, or a document from a peer or a handler. */
  sharedStubs(row: DocumentData): AttachmentStubs | null
  /** The row's stub under this name, if it stands for the data of `digest`. */
  storedStub(row: Row | undefined, name: string, digest: string): AttachmentStub | null
  /** Where the row has the data of `digest`. */
  find(row: Row | undefined, digest: string): readonly [name: string, stored: AttachmentStub] | null
  /** The lengths that a stamp has to keep; undefined where the row tells them. */
  stampedLengths(row: DocumentData): StampedLengths | undefined
  /** Whether the row alone tells the lengths, with neither a stamp nor a look at the data. */
  rowTellsLengths(row: DocumentData): boolean
  /** Whether the lengths of all are known without reading them. */
  isMeasured(row: DocumentData): boolean
  /** Reads the lengths that neither the row nor its stamp tells. */
  measure(row: Row, read: (name: string, stored: AttachmentStub) => Promise<Blob>): Promise<void>
  /** Attachments that a row about to be written keeps from `previous` come without data: their lengths are copied. */
  inheritLengths(row: Row, previous: Row): void
}

/** RxDB's compression puts this before the digest of what it compressed. */
const COMPRESSED_MARK = "c-"
const NO_LENGTHS: StampedLengths = []
/** How many lengths that were read are kept, so that a write over an unstamped row can be stamped. */
const MAX_LENGTHS_KNOWN = 4_096

export function storedAttachments({
  encrypted,
  compression,
}: RxCollection["schema"]["jsonSchema"]["attachments"] = {}): StoredAttachments {
  const isEncoded = encrypted === true || compression !== undefined
  // Lengths that a row's stamp does not tell: read from the data, or taken from the previous row. A write gets another
  // object for a document than the storage gave before, and finds the lengths by digest.
  const lengthsByRow = new WeakMap<object, StampedLengths>()
  const lengthByDigest = new Map<string, number>()

  const lengthOf = (row: DocumentData, digest: string, stub: StubOrWrite): number | null => {
    if (!isEncoded) return stub.length
    if (stub.data !== undefined) return stub.data.size
    const known = lengthsByRow.get(row) ?? lengthsInStamp(row) ?? NO_LENGTHS
    const at = known.indexOf(digest)
    return at === -1 ? (lengthByDigest.get(digest) ?? null) : (known[at + 1] as number)
  }

  const remember = (digest: string, length: number): void => {
    lengthByDigest.set(digest, length)
    const [oldest] = lengthByDigest.keys()
    if (lengthByDigest.size > MAX_LENGTHS_KNOWN && oldest !== undefined) lengthByDigest.delete(oldest)
  }

  const isMeasured = (row: DocumentData): boolean =>
    !isEncoded || stubsIn(row).every(([, stub]) => lengthOf(row, sharedDigest(stub), stub) !== null)

  const sharedStubs = (row: DocumentData): AttachmentStubs | null => {
    const stubs = stubsIn(row)
    if (stubs.length === 0) return null
    return Object.fromEntries(
      stubs.map(([name, stub]) => {
        const digest = sharedDigest(stub)
        // Documents made by peers and handlers state the length of the data itself.
        return [name, { digest, length: lengthOf(row, digest, stub) ?? stub.length, type: stub.type }]
      }),
    )
  }

  const stampedLengths = (row: DocumentData): StampedLengths | undefined => {
    const stubs = isEncoded ? sharedStubs(row) : null
    return stubs === null ? undefined : Object.values(stubs).flatMap(({ digest, length }) => [digest, length])
  }

  return {
    sharedStubs,
    storedStub(row, name, digest) {
      if (row === undefined || row._deleted) return null
      const stub = row._attachments[name]
      return stub !== undefined && sharedDigest(stub) === digest ? stub : null
    },
    find(row, digest) {
      if (row === undefined || row._deleted) return null
      return stubsIn(row).find(([, stub]) => sharedDigest(stub) === digest) ?? null
    },
    stampedLengths,
    rowTellsLengths: (row) => !isEncoded || stubsIn(row).length === 0,
    isMeasured,
    async measure(row, read) {
      if (isMeasured(row)) return
      const lengths: (string | number)[] = []
      for (const [name, stub] of stubsIn(row)) {
        const digest = sharedDigest(stub)
        const { size } = await read(name, stub)
        lengths.push(digest, size)
        remember(digest, size)
      }
      lengthsByRow.set(row, lengths)
    },
    inheritLengths(row, previous) {
      const lengths = stampedLengths(previous)
      if (lengths !== undefined) lengthsByRow.set(row, lengths)
    },
  }
}

function stubsIn(row: DocumentData): readonly (readonly [name: string, stub: StubOrWrite])[] {
  const attachments = row["_attachments"]
  if (typeof attachments !== "object" || attachments === null) return []
  return Object.entries(attachments as Readonly<Record<string, StubOrWrite>>)
}

function sharedDigest({ digest }: AttachmentStub): string {
  // Documents that the application's handlers made come here before they are checked: the digest may be anything.
  const isMarked = typeof digest === "string" && digest.startsWith(COMPRESSED_MARK)
  return isMarked ? digest.slice(COMPRESSED_MARK.length) : digest
}
