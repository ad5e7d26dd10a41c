import type { BlobRef, BlobStore, Clock } from "@dunlin/core"
import { createBlobsAtHand } from "./blobs-at-hand.ts"
import { base64FromBytes, bytesFromBase64, bytesFromHex, hexFromBytes } from "./byte-text.ts"
import type { AttachmentWrites, CollectionRows } from "./collection-rows.ts"
import type { AttachmentStub, AttachmentStubs, Row } from "./document-shape.ts"
import { createShelfLedger } from "./shelf-ledger.ts"
import type { Sidecar } from "./sidecar.ts"
import { isListOf, parseNote } from "./stored-note.ts"
import type { StoredAttachments } from "./stored-attachments.ts"

/** Attachment data by document and digest: in the rows, or on a shelf in the sidecar before and beside them. */
export interface AttachmentShelf {
  readonly blobs: BlobStore
  /** Finds the stubs whose data is neither in the row nor on the shelf, unless one of them states a wrong length. */
  look(key: string, row: Row | undefined, stubs: readonly AttachmentStub[]): Promise<ShelfLook>
  /** Attachments to write to a row: stubs where `row` has the data under that name, else data from elsewhere. */
  writesFor(key: string, row: Row | undefined, stubs: AttachmentStubs): Promise<ShelfWrites>
  /** Copies to the shelf data that the row holds now and is about to lose. */
  shelve(key: string, row: Row, stubs: readonly AttachmentStub[]): Promise<void>
  /** The data received for these digests now belongs to the document, and stays until it is cleared. */
  keep(key: string, digests: readonly string[]): Promise<void>
  /** Removes from the shelf data that the row now holds or that the document no longer refers to. */
  clear(key: string, digests: readonly string[]): Promise<void>
  /** Frees data that was received for documents that never followed. */
  sweep(): Promise<void>
}

/** How far the data of an attachment has come. */
export interface AttachmentProgress {
  /** Primary key of the document. */
  readonly key: string
  /** SHA-256 of the data, 64 hex digits, as in the attachment's stub. */
  readonly digest: string
  readonly receivedBytes: number
  readonly totalBytes: number
}

export type ShelfLook =
  | { readonly type: "lacking"; readonly blobs: readonly BlobRef[] }
  /** Data with this digest is here, but its length differs. */
  | { readonly type: "wrong-length"; readonly digest: string }

export type ShelfWrites =
  | { readonly type: "writes"; readonly attachments: AttachmentWrites }
  /** This data is not here, or not any more. */
  | { readonly type: "lacking"; readonly blob: BlobRef }

/** Keeps hostile lengths from reserving memory. */
export const MAX_ATTACHMENT_BYTES: number = 256 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024
const EMPTY_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

export function attachmentShelf(
  attachments: StoredAttachments,
  rows: CollectionRows,
  sidecar: Sidecar,
  clock: Clock,
  progressed: (progress: AttachmentProgress) => void,
): AttachmentShelf {
  let turn: Promise<unknown> = Promise.resolve()

  /** Chunks of one blob may arrive in parallel, and each rewrites the list of those held. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work, work)
    turn = done.catch(() => undefined)
    return done
  }

  const text = async (id: string): Promise<string | undefined> => (await sidecar.get([id])).get(id)

  /** Length of the verified blob with this digest; null when there is none. */
  const wholeSize = async (key: string, digest: string): Promise<number | null> => {
    const stored = await text(wholeId(key, digest))
    return isDecimal(stored) ? Number(stored) : null
  }

  const chunksHeld = async (key: string, digest: string, size: number): Promise<readonly number[]> => {
    const stored = await text(partId(key, digest, size))
    return (stored === undefined ? null : parseNote(stored, isListOf(isIndex))) ?? []
  }

  const assemble = async (
    key: string,
    digest: string,
    size: number,
  ): Promise<Uint8Array<ArrayBuffer> | null> => {
    const bytes = new Uint8Array(size)
    for (let index = 0; index < chunkCount(size); index++) {
      const stored = await text(chunkId(key, digest, size, index))
      try {
        if (stored === undefined) return null
        bytes.set(bytesFromBase64(stored), index * CHUNK_BYTES)
      } catch {
        // It is damaged, and as good as lost.
        return null
      }
    }
    return bytes
  }

  const drop = async (key: string, digest: string, size: number): Promise<void> => {
    const records = new Map<string, null>([[partId(key, digest, size), null]])
    const whole = (await wholeSize(key, digest)) === size
    const held = whole ? range(chunkCount(size)) : await chunksHeld(key, digest, size)
    for (const index of held) records.set(chunkId(key, digest, size, index), null)
    if (whole) records.set(wholeId(key, digest), null)
    await sidecar.put(records)
  }

  const ledger = createShelfLedger(sidecar, clock, {
    drop,
    async isInRow({ key, digest, size }) {
      const row = (await rows.find([key])).get(key)
      return (await lengthInRow(row, digest)) === size
    },
    async held({ key, digest, size }) {
      if ((await wholeSize(key, digest)) === size) return size
      return (await chunksHeld(key, digest, size)).length * CHUNK_BYTES
    },
  })

  /** Whether the assembled chunks match the digest. A blob is not used for anything before they do. */
  const verify = async (key: string, digest: string, size: number): Promise<boolean> => {
    const bytes = await assemble(key, digest, size)
    if (bytes !== null && (await sha256(bytes)) === digest) {
      await sidecar.put(
        new Map([
          [wholeId(key, digest), String(size)],
          [partId(key, digest, size), null],
        ]),
      )
      return true
    }
    await drop(key, digest, size)
    return false
  }

  const missing = async (key: string, digest: string, size: number): Promise<readonly number[]> => {
    if ((await wholeSize(key, digest)) === size) return []
    const held = new Set(await chunksHeld(key, digest, size))
    // The process ended after the last chunk was stored and before the whole was verified.
    if (held.size > 0 && held.size === chunkCount(size)) {
      if (await inTurn(() => verify(key, digest, size))) return []
      held.clear()
    }
    return range(chunkCount(size)).filter((index) => !held.has(index))
  }

  const fromRow = async (key: string, row: Row | undefined, digest: string): Promise<Blob | null> => {
    const found = attachments.find(row, digest)
    return found === null ? null : rows.attachmentData(key, ...found)
  }

  const dataOf = async (key: string, row: Row | undefined, digest: string): Promise<Blob | null> => {
    const held = await fromRow(key, row, digest)
    if (held !== null) return held
    const size = await wholeSize(key, digest)
    const shelved = size === null ? null : await assemble(key, digest, size)
    return shelved === null ? null : new Blob([shelved])
  }

  const atHand = createBlobsAtHand(clock, async (key, digest) => {
    const row = (await rows.find([key])).get(key)
    const blob = await dataOf(key, row, digest)
    return blob === null ? null : new Uint8Array(await blob.arrayBuffer())
  })

  const lengthInRow = async (row: Row | undefined, digest: string): Promise<number | null> => {
    const found = attachments.find(row, digest)
    if (row === undefined || found === null) return null
    await rows.measure(row)
    return attachments.sharedStubs(row)?.[found[0]]?.length ?? null
  }

  const release = async (key: string, digests: readonly string[], fate: "keep" | "drop"): Promise<void> => {
    for (const digest of digests) {
      const size = await wholeSize(key, digest)
      if (size === null) continue
      if (fate === "drop") await drop(key, digest, size)
      await ledger.forget({ key, digest, size })
    }
  }

  const blobs: BlobStore = {
    async missing(key, { digest, size }) {
      const name = hexFromBytes(digest)
      const row = (await rows.find([key])).get(key)
      return (await lengthInRow(row, name)) === size ? [] : missing(key, name, size)
    },
    async read(key, digest, index) {
      const name = hexFromBytes(digest)
      const data = await atHand.read(key, name)
      if (data === null) return null
      if ((index + 1) * CHUNK_BYTES >= data.length) atHand.release(key, name)
      const chunk = data.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
      return chunk.length === 0 && index > 0 ? null : chunk
    },
    write: (key, { digest, size }, index, bytes) =>
      inTurn(async () => {
        const name = hexFromBytes(digest)
        if (!fitsChunk(size, index, bytes.length)) return "corrupt"
        if ((await wholeSize(key, name)) === size) return "complete"
        // Chunks are stored under digest and length: a wrong length stated for this digest must not touch them.
        const before = await chunksHeld(key, name, size)
        if (before.length === 0) await ledger.begin({ key, digest: name, size })
        const held = [...new Set([...before, index])]
        await sidecar.put(
          new Map([
            [chunkId(key, name, size, index), base64FromBytes(bytes)],
            [partId(key, name, size), JSON.stringify(held)],
          ]),
        )
        await ledger.grew({ key, digest: name, size }, bytes.length)
        const totalBytes = size
        if (held.length < chunkCount(size)) {
          const last = held.includes(chunkCount(size) - 1) ? chunkCount(size) * CHUNK_BYTES - size : 0
          progressed({ key, digest: name, receivedBytes: held.length * CHUNK_BYTES - last, totalBytes })
          return "stored"
        }
        if (await verify(key, name, size)) {
          progressed({ key, digest: name, receivedBytes: size, totalBytes })
          return "complete"
        }
        await ledger.forget({ key, digest: name, size })
        return "corrupt"
      }),
  }

  return {
    blobs,
    async look(key, row, stubs) {
      const refs: BlobRef[] = []
      for (const { digest, length } of stubs) {
        const known =
          digest === EMPTY_DIGEST ? 0 : ((await lengthInRow(row, digest)) ?? (await wholeSize(key, digest)))
        if (known === length) continue
        if (known !== null || length === 0) return { type: "wrong-length", digest }
        if ((await missing(key, digest, length)).length > 0)
          refs.push({ digest: bytesFromHex(digest), size: length })
      }
      return { type: "lacking", blobs: refs }
    },
    async writesFor(key, row, stubs) {
      const writes: Record<string, AttachmentStub & { readonly data?: Blob }> = {}
      for (const [name, stub] of Object.entries(stubs)) {
        const { digest, length, type } = stub
        const stored = attachments.storedStub(row, name, digest)
        if (stored !== null) {
          writes[name] = { digest: stored.digest, length: stored.length, type }
          continue
        }
        const data = length === 0 ? new Blob([]) : await dataOf(key, row, digest)
        if (data === null) return { type: "lacking", blob: { digest: bytesFromHex(digest), size: length } }
        writes[name] = { digest, length, type, data: new Blob([data], { type }) }
      }
      return { type: "writes", attachments: writes }
    },
    async shelve(key, row, stubs) {
      for (const { digest } of stubs) {
        if ((await wholeSize(key, digest)) !== null) continue
        const data = await fromRow(key, row, digest)
        if (data === null) continue
        const bytes = new Uint8Array(await data.arrayBuffer())
        const records = new Map([[wholeId(key, digest), String(bytes.length)]])
        for (const index of range(chunkCount(bytes.length))) {
          const chunk = bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
          records.set(chunkId(key, digest, bytes.length, index), base64FromBytes(chunk))
        }
        await sidecar.put(records)
      }
    },
    keep: (key, digests) => inTurn(() => release(key, digests, "keep")),
    clear: (key, digests) => inTurn(() => release(key, digests, "drop")),
    sweep: () => inTurn(ledger.sweep),
  }
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return hexFromBytes(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)))
}

function fitsChunk(size: number, index: number, length: number): boolean {
  if (size > MAX_ATTACHMENT_BYTES || index >= chunkCount(size)) return false
  return length === Math.min(CHUNK_BYTES, size - index * CHUNK_BYTES)
}

function isDecimal(text: string | undefined): boolean {
  return text !== undefined && /^\d{1,15}$/.test(text)
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

function chunkCount(size: number): number {
  return Math.ceil(size / CHUNK_BYTES)
}

function range(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index)
}

function chunkId(key: string, digest: string, size: number, index: number): string {
  return `b|${key}|${digest}|${size}|${index}`
}

/** Id of the record that lists the chunks held of an incomplete blob. */
function partId(key: string, digest: string, size: number): string {
  return `p|${key}|${digest}|${size}`
}

/** Id of the record that holds the length of a verified blob. */
function wholeId(key: string, digest: string): string {
  return `c|${key}|${digest}`
}
