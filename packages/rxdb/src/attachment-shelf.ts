import type { BlobRef, BlobStore } from "@dunlin/core"
import type { RxCollection } from "rxdb"
import { base64FromBytes, bytesFromBase64, bytesFromHex, hexFromBytes } from "./byte-text.ts"
import type { CollectionRows } from "./collection-rows.ts"
import type { AttachmentStub, AttachmentStubs, Row } from "./document-shape.ts"
import type { Sidecar } from "./sidecar.ts"

/** Attachment data by document and digest: in the rows themselves, and on a shelf in the sidecar before and beside them. */
export interface AttachmentShelf {
  readonly blobs: BlobStore
  /** Those of the stubs whose data is neither in the row nor on the shelf. */
  lacking(key: string, row: Row | undefined, stubs: readonly AttachmentStub[]): Promise<readonly BlobRef[]>
  /** Attachments for a row: stubs where `row` has the data under the same name, data from elsewhere for the others. */
  writesFor(key: string, row: Row | undefined, stubs: AttachmentStubs): Promise<AttachmentStubs>
  /** Copies data to the shelf that the row holds now and is about to lose. */
  shelve(key: string, row: Row, stubs: readonly AttachmentStub[]): Promise<void>
  /** Takes from the shelf what the row holds from now on. */
  clear(key: string, digests: readonly string[]): Promise<void>
}

/** Keeps hostile lengths from reserving memory. */
export const MAX_ATTACHMENT_BYTES: number = 256 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024

/** Which chunks of a blob are on the shelf. */
interface ShelfNote {
  readonly size: number
  readonly held: readonly number[]
}

export function attachmentShelf(
  collection: RxCollection,
  rows: CollectionRows,
  sidecar: Sidecar,
): AttachmentShelf {
  const { database } = collection
  const instance = collection.storageInstance.originalStorageInstance
  let lastRead: { readonly key: string; readonly digest: string; readonly data: Uint8Array } | null = null
  let turn: Promise<unknown> = Promise.resolve()

  /** Chunks of one blob may arrive in parallel, and each rewrites the note. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work, work)
    turn = done.catch(() => undefined)
    return done
  }

  const note = async (key: string, digest: string): Promise<ShelfNote | null> => {
    const id = noteId(key, digest)
    const text = (await sidecar.get([id])).get(id)
    return text === undefined ? null : (JSON.parse(text) as ShelfNote)
  }

  const fromShelf = async (key: string, digest: string): Promise<Uint8Array<ArrayBuffer> | null> => {
    const known = await note(key, digest)
    if (known === null || known.held.length < chunkCount(known.size)) return null
    const bytes = new Uint8Array(known.size)
    for (let index = 0; index < chunkCount(known.size); index++) {
      const id = chunkId(key, digest, index)
      const text = (await sidecar.get([id])).get(id)
      if (text === undefined) return null
      bytes.set(bytesFromBase64(text), index * CHUNK_BYTES)
    }
    return bytes
  }

  const fromRow = async (key: string, row: Row | undefined, digest: string): Promise<Blob | null> => {
    const name = nameInRow(row, digest)
    if (name === null) return null
    return database.lockedRun(() => instance.getAttachmentData(key, name, digest))
  }

  const dataOf = async (key: string, row: Row | undefined, digest: string): Promise<Blob | null> => {
    const held = await fromRow(key, row, digest)
    if (held !== null) return held
    const shelved = await fromShelf(key, digest)
    return shelved === null ? null : new Blob([shelved])
  }

  const putChunks = async (key: string, digest: string, bytes: Uint8Array): Promise<void> => {
    const records = new Map<string, string>()
    const held: number[] = []
    for (let index = 0; index < chunkCount(bytes.length); index++) {
      const chunk = bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
      records.set(chunkId(key, digest, index), base64FromBytes(chunk))
      held.push(index)
    }
    records.set(noteId(key, digest), JSON.stringify({ size: bytes.length, held } satisfies ShelfNote))
    await sidecar.put(records)
  }

  const clear = async (key: string, digests: readonly string[]): Promise<void> => {
    const records = new Map<string, null>()
    for (const digest of digests) {
      const known = await note(key, digest)
      if (known === null) continue
      for (const index of known.held) records.set(chunkId(key, digest, index), null)
      records.set(noteId(key, digest), null)
    }
    if (records.size > 0) await sidecar.put(records)
  }

  const blobs: BlobStore = {
    async missing(key, { digest, size }) {
      const name = hexFromBytes(digest)
      const row = (await rows.find([key])).get(key)
      if (nameInRow(row, name) !== null) return []
      const known = await note(key, name)
      const held = new Set(known?.size === size ? known.held : [])
      return Array.from({ length: chunkCount(size) }, (_, index) => index).filter((index) => !held.has(index))
    },
    async read(key, digest, index) {
      const name = hexFromBytes(digest)
      if (lastRead?.key !== key || lastRead.digest !== name) {
        const row = (await rows.find([key])).get(key)
        const blob = await dataOf(key, row, name)
        if (blob === null) return null
        lastRead = { key, digest: name, data: new Uint8Array(await blob.arrayBuffer()) }
      }
      const chunk = lastRead.data.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
      return chunk.length === 0 && index > 0 ? null : chunk
    },
    write: (key, { digest, size }, index, bytes) =>
      inTurn(async () => {
        const name = hexFromBytes(digest)
        if (!fitsChunk(size, index, bytes.length)) return "corrupt"
        const known = await note(key, name)
        const held = [...new Set([...(known?.size === size ? known.held : []), index])]
        await sidecar.put(
          new Map([
            [chunkId(key, name, index), base64FromBytes(bytes)],
            [noteId(key, name), JSON.stringify({ size, held } satisfies ShelfNote)],
          ]),
        )
        if (held.length < chunkCount(size)) return "stored"
        const whole = await fromShelf(key, name)
        if (
          whole !== null &&
          hexFromBytes(new Uint8Array(await crypto.subtle.digest("SHA-256", whole))) === name
        )
          return "complete"
        await clear(key, [name])
        return "corrupt"
      }),
  }

  return {
    blobs,
    async lacking(key, row, stubs) {
      const refs: BlobRef[] = []
      for (const { digest, length } of stubs) {
        if (nameInRow(row, digest) !== null || length === 0) continue
        const known = await note(key, digest)
        if (known === null || known.size !== length || known.held.length < chunkCount(length))
          refs.push({ digest: bytesFromHex(digest), size: length })
      }
      return refs
    },
    async writesFor(key, row, stubs) {
      const writes: Record<string, AttachmentStub & { readonly data?: Blob }> = {}
      for (const [name, stub] of Object.entries(stubs)) {
        const { digest, length, type } = stub
        if (row?._attachments[name]?.digest === digest && !row._deleted) {
          writes[name] = { digest, length, type }
          continue
        }
        const data = length === 0 ? new Blob([]) : await dataOf(key, row, digest)
        if (data === null) throw new Error(`the data of attachment "${name}" is not here`)
        writes[name] = { digest, length, type, data: new Blob([data], { type }) }
      }
      return writes
    },
    async shelve(key, row, stubs) {
      for (const { digest } of stubs) {
        if ((await note(key, digest)) !== null) continue
        const data = await fromRow(key, row, digest)
        if (data !== null) await putChunks(key, digest, new Uint8Array(await data.arrayBuffer()))
      }
    },
    clear,
  }
}

function nameInRow(row: Row | undefined, digest: string): string | null {
  if (row === undefined || row._deleted) return null
  for (const [name, stub] of Object.entries(row._attachments)) if (stub.digest === digest) return name
  return null
}

function fitsChunk(size: number, index: number, length: number): boolean {
  if (size > MAX_ATTACHMENT_BYTES || index >= chunkCount(size)) return false
  return length === Math.min(CHUNK_BYTES, size - index * CHUNK_BYTES)
}

function chunkCount(size: number): number {
  return Math.ceil(size / CHUNK_BYTES)
}

function chunkId(key: string, digest: string, index: number): string {
  return `b|${key}|${digest}|${index}`
}

function noteId(key: string, digest: string): string {
  return `c|${key}|${digest}`
}
