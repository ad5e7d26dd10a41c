import type { AttachmentStub, AttachmentStubs, DocumentData, Row } from "./document-shape.ts"

/**
 * What a storage makes of attachments: one that encrypts or compresses them tells the length of what it stores, and RxDB's
 * compression marks the digest. Peers need both of the data itself.
 */
export interface StoredAttachments {
  /** As peers know them; null when there are none. */
  sharedStubs(row: DocumentData): AttachmentStubs | null
  /** As the row has them under this name, if it is the data of `digest`. */
  storedStub(row: Row | undefined, name: string, digest: string): AttachmentStub | null
  /** The name under which the row has the data of `digest`. */
  nameOf(row: Row | undefined, digest: string): string | null
  /** Lengths as a stamp keeps them: digests and lengths in turn; nothing where rows tell them. */
  stampedLengths(stubs: AttachmentStubs | null): StampedLengths | undefined
  /** Whether its stubs are what peers know: a storage that changes attachments has none here to change. */
  isPlain(row: DocumentData): boolean
  /** Whether the lengths of all are known without reading them. */
  isMeasured(row: DocumentData): boolean
  /** The same for a row that is about to be written over `previous`, whose attachments it may keep. */
  isMeasuredOver(row: Row, previous: Row | undefined): boolean
  /** Notes lengths that were found by reading the data. */
  noteLengths(row: Row, lengths: StampedLengths): void
}

export type StampedLengths = readonly (string | number)[]

/** RxDB's compression puts this before the digest of what it compressed. */
const COMPRESSED_MARK = "c-"
const NO_LENGTHS: StampedLengths = []

/** `encoded`: the storage keeps other bytes than it was given. `lengthsIn` reads them from the row's stamp. */
export function storedAttachments(
  encoded: boolean,
  lengthsIn: (row: DocumentData) => StampedLengths | undefined,
): StoredAttachments {
  // Of rows that were written where Dunlin was not loaded.
  const measured = new WeakMap<object, StampedLengths>()

  const lengthOf = (row: DocumentData, digest: string, stub: StubOrWrite): number | null => {
    if (!encoded) return stub.length
    if (stub.data !== undefined) return stub.data.size
    const known = measured.get(row) ?? lengthsIn(row) ?? NO_LENGTHS
    const at = known.indexOf(digest)
    return at === -1 ? null : (known[at + 1] as number)
  }

  const isMeasured = (row: DocumentData): boolean =>
    !encoded || stubsIn(row).every(([, stub]) => lengthOf(row, sharedDigest(stub), stub) !== null)

  const sharedStubs = (row: DocumentData): AttachmentStubs | null => {
    const stubs = stubsIn(row)
    if (stubs.length === 0) return null
    return Object.fromEntries(
      stubs.map(([name, stub]) => {
        const digest = sharedDigest(stub)
        return [name, { digest, length: lengthOf(row, digest, stub) ?? stub.length, type: stub.type }]
      }),
    )
  }

  const stampedLengths = (stubs: AttachmentStubs | null): StampedLengths | undefined => {
    if (!encoded || stubs === null) return undefined
    return Object.values(stubs).flatMap(({ digest, length }) => [digest, length])
  }

  return {
    sharedStubs,
    stampedLengths,
    isPlain: (row) => !encoded || stubsIn(row).length === 0,
    isMeasured,
    isMeasuredOver(row, previous) {
      if (!encoded) return true
      if (previous !== undefined) {
        if (!isMeasured(previous)) return false
        const kept = stampedLengths(sharedStubs(previous))
        if (kept !== undefined) measured.set(row, kept)
      }
      return isMeasured(row)
    },
    storedStub(row, name, digest) {
      if (row === undefined || row._deleted) return null
      const stub = row._attachments[name]
      return stub !== undefined && sharedDigest(stub) === digest ? stub : null
    },
    nameOf(row, digest) {
      if (row === undefined || row._deleted) return null
      return stubsIn(row).find(([, stub]) => sharedDigest(stub) === digest)?.[0] ?? null
    },
    noteLengths: (row, lengths) => void measured.set(row, lengths),
  }
}

/** A row that is about to be written has the data of attachments that are new. */
type StubOrWrite = AttachmentStub & { readonly data?: Blob }

function stubsIn(row: DocumentData): readonly (readonly [name: string, stub: StubOrWrite])[] {
  const attachments = row["_attachments"]
  if (typeof attachments !== "object" || attachments === null) return []
  return Object.entries(attachments as Readonly<Record<string, StubOrWrite>>)
}

function sharedDigest({ digest }: AttachmentStub): string {
  // The application's handlers make documents as well, and theirs are looked at afterwards.
  const isMarked = typeof digest === "string" && digest.startsWith(COMPRESSED_MARK)
  return isMarked ? digest.slice(COMPRESSED_MARK.length) : digest
}
