import { createHash } from "node:crypto"
import {
  type BlobRef,
  type BlobStore,
  decodeDelta,
  type JsonObject,
  type Replica,
  type Store,
} from "@dunlin/core"
import type { DiskImage, MemoryCollection } from "@dunlin/core/testing"
import type { Faults } from "./fault-counts.ts"

/** The attachments of one process, beside its documents on the same disk. */
export interface Attachments extends BlobStore {
  /** Makes content of this size durable; resolves with what a document says about it. */
  put(sizeBytes: number): Promise<JsonObject>
}

export interface AttachmentsOptions {
  readonly store: Store
  readonly faults: Faults
  /** Plants a bug: what to report as missing instead of what is. */
  readonly missing: ((missing: readonly number[], chunks: number) => readonly number[]) | undefined
}

interface HeldBlob {
  readonly chunks: Map<number, Uint8Array>
  /** All chunks are here, and are what the digest names. */
  verified: boolean
}

const CHUNK_BYTES = 65_536
const PREFIX = "blob/"

export async function openAttachments({ store, faults, missing }: AttachmentsOptions): Promise<Attachments> {
  const heldByDigest = new Map<string, HeldBlob>()
  const held = (digest: string): HeldBlob => {
    const blob = heldByDigest.get(digest) ?? { chunks: new Map(), verified: false }
    heldByDigest.set(digest, blob)
    return blob
  }
  for await (const [key, bytes] of store.entries(PREFIX)) {
    const [digest = "", index = ""] = key.slice(PREFIX.length).split("/")
    held(digest).chunks.set(Number(index), bytes)
  }

  const drop = async (digest: string): Promise<void> => {
    const blob = heldByDigest.get(digest)
    heldByDigest.delete(digest)
    await store.write([...(blob?.chunks.keys() ?? [])].map((at) => ({ key: keyOf(digest, at), value: null })))
  }

  const missingOf = async (ref: BlobRef): Promise<readonly number[]> => {
    const digest = Buffer.from(ref.digest).toString("hex")
    const blob = held(digest)
    const all = Array.from({ length: Math.ceil(ref.size / CHUNK_BYTES) }, (_, at) => at)
    const absent = blob.verified ? [] : all.filter((at) => !blob.chunks.has(at))
    if (absent.length > 0 || blob.verified) return absent
    blob.verified =
      hashOf([...blob.chunks].toSorted(([a], [b]) => a - b).map(([, bytes]) => bytes)) === digest
    if (blob.verified) return []
    // Complete but wrong: a chunk was spoilt, and nobody can tell which.
    faults.count("spoilt-attachment")
    await drop(digest)
    return all
  }

  const writeChunk = async (
    ref: BlobRef,
    index: number,
    bytes: Uint8Array,
  ): Promise<"stored" | "complete" | "corrupt"> => {
    const digest = Buffer.from(ref.digest).toString("hex")
    // If two peers were asked, the later answer may be spoilt: what documents already show is not touched.
    if (held(digest).verified) return "complete"
    await store.write([{ key: keyOf(digest, index), value: bytes }])
    held(digest).chunks.set(index, bytes)
    if (held(digest).chunks.size * CHUNK_BYTES < ref.size) return "stored"
    return (await missingOf(ref)).length === 0 ? "complete" : "corrupt"
  }
  let turn: Promise<unknown> = Promise.resolve()

  const self: Attachments = {
    async put(sizeBytes) {
      const content = contentOf(sizeBytes)
      const digest = hashOf([content])
      const blob = held(digest)
      for (let at = 0; at * CHUNK_BYTES < sizeBytes; at++) {
        const bytes = content.subarray(at * CHUNK_BYTES, (at + 1) * CHUNK_BYTES)
        await store.write([{ key: keyOf(digest, at), value: bytes }])
        blob.chunks.set(at, bytes)
      }
      blob.verified = true
      return { digest, size: sizeBytes }
    },
    async missing(_key, ref) {
      const absent = await missingOf(ref)
      if (absent.length > 0) faults.count("attachment-fetched-in-part")
      return missing?.(absent, Math.ceil(ref.size / CHUNK_BYTES)) ?? absent
    },
    async read(_key, digest, index) {
      return heldByDigest.get(Buffer.from(digest).toString("hex"))?.chunks.get(index) ?? null
    },
    write(_key, ref, index, bytes) {
      // One after the other: a spoilt chunk must not reach the disk while the last good one completes the blob.
      const written = turn.then(() => writeChunk(ref, index, bytes.slice()))
      turn = written.catch(() => undefined)
      return written
    },
  }
  return self
}

/** A replica whose documents may refer to attachments: no document is joined before those that it names are here. */
export function withAttachments(
  replica: Replica<MemoryCollection>,
  attachments: Promise<Attachments>,
): Replica<MemoryCollection> {
  return {
    ...replica,
    async attach(host, options) {
      const attached = await replica.attach(host, options)
      const blobs = await attachments
      return {
        ...attached,
        blobs,
        async join(entries, peer) {
          const absent = await Promise.all(
            entries.map(async ({ key, delta }) => {
              const refs = refsIn(delta)
              const missing = await Promise.all(refs.map((ref) => blobs.missing(key, ref)))
              return refs.filter((_, at) => (missing[at] as readonly number[]).length > 0)
            }),
          )
          const outcomes = await attached.join(
            entries.filter((_, at) => absent[at]?.length === 0),
            peer,
          )
          let next = 0
          return absent.map((refs) => {
            if (refs.length > 0) return { type: "missing-blobs", blobs: refs }
            return outcomes[next++] as (typeof outcomes)[number]
          })
        },
      }
    },
  }
}

/** Whether a disk holds exactly the attachment that a document describes. */
export function isAttachmentWhole(image: DiskImage, about: JsonObject): boolean {
  const { digest, size } = about as { readonly digest: string; readonly size: number }
  const chunks = Array.from({ length: Math.ceil(size / CHUNK_BYTES) }, (_, at) =>
    image.get(keyOf(digest, at)),
  )
  return chunks.every((chunk) => chunk !== undefined) && hashOf(chunks) === digest
}

/** Documents name an attachment in this field. */
export const ATTACHMENT_FIELD = "attachment"

function refsIn(delta: Uint8Array): readonly BlobRef[] {
  let siblings: ReturnType<typeof decodeDelta>["siblings"]
  try {
    siblings = decodeDelta(delta).siblings
  } catch {
    // The replica itself says what is wrong with it.
    return []
  }
  return siblings.flatMap(({ payload }) => {
    const about = payload[ATTACHMENT_FIELD] as { readonly digest: string; readonly size: number } | undefined
    return about === undefined ? [] : [{ digest: Buffer.from(about.digest, "hex"), size: about.size }]
  })
}

/** The same for the same size, so that documents share attachments. */
function contentOf(sizeBytes: number): Uint8Array {
  return Uint8Array.from({ length: sizeBytes }, (_, at) => Math.imul(at ^ sizeBytes, 0x9e37_79b1) >>> 13)
}

function hashOf(parts: readonly (Uint8Array | undefined)[]): string {
  const hash = createHash("sha256")
  for (const part of parts) if (part !== undefined) hash.update(part)
  return hash.digest("hex")
}

function keyOf(digest: string, index: number): string {
  return `${PREFIX}${digest}/${index}`
}
