import type { Clock } from "@dunlin/core"
import { sha256 } from "@noble/hashes/sha2.js"
import type { LoroDoc } from "loro-crdt"

import { sameHash } from "./document-state.ts"
import type { LiveDocument } from "./live-document.ts"

/**
 * What a document says in one state. State hashes cover the ids of edits, not their content: if the edits of two
 * replicas have the same ids but different content, the hashes never show it.
 */
export interface DocumentAudit {
  /** The first 8 bytes of the state hash. */
  readonly base: Uint8Array
  /** 8 bytes of a hash over the content. */
  readonly content: Uint8Array
}

/** Hashes the content of one open document when nobody has edited it for a while, so that no key press pays for it. */
export interface DocumentAuditor {
  /** The document was opened or changed. */
  touch(): void
  /** The audit of the state with this hash; null if the document has not rested in that state. */
  of(hash: Uint8Array | null): DocumentAudit | null
  /** Notes that the content differs; true the first time. */
  differs(): boolean
  stop(): void
}

export interface DocumentAuditorOptions {
  readonly clock: Clock
  /** Null while nobody has it open. */
  readonly live: () => LiveDocument | null
  onFailure(live: LiveDocument, error: unknown): void
}

export const AUDIT_BYTES = 8
/** Somebody who is typing pauses this long only to think. */
const REST_MS = 2_000
/** Beyond this, hashing takes too long for a page that somebody works in. */
const MAX_OPERATIONS = 500_000
const MAX_CHARACTERS = 2_000_000
/** Fractions that add up to 0 leave less than this. */
const NOISE = 1e-9

export function createDocumentAuditor({ clock, live, onFailure }: DocumentAuditorOptions): DocumentAuditor {
  let touchedAt = 0
  let cancel: (() => void) | null = null
  let rested: { readonly hash: Uint8Array; readonly audit: DocumentAudit } | null = null
  let isOff = false
  let hasDiffered = false

  const look = (): void => {
    cancel = null
    const restMs = touchedAt + REST_MS - clock.monotonic()
    if (restMs > 0) {
      // At least a millisecond: a smaller remainder may not advance a clock that counts in fractions.
      cancel = clock.after(Math.max(1, restMs), look)
      return
    }
    const document = live()
    if (document !== null) take(document)
  }

  const take = (document: LiveDocument): void => {
    document.settle()
    const { hash } = document.state()
    if (hash === null || sameHash(hash, rested?.hash ?? null)) return
    // A document that is checked out shows an earlier state than the one that its hash names.
    if (document.doc.isDetached()) return
    try {
      const content = hashContent(document.doc)
      isOff = content === null
      rested = content === null ? null : { hash, audit: { base: hash.slice(0, AUDIT_BYTES), content } }
    } catch (error) {
      // What has broken Loro once would break it again.
      isOff = true
      onFailure(document, error)
    }
  }

  return {
    touch() {
      touchedAt = clock.monotonic()
      if (!isOff) cancel ??= clock.after(REST_MS, look)
    },
    of: (hash) => (hash !== null && rested !== null && sameHash(hash, rested.hash) ? rested.audit : null),
    differs() {
      const isFirst = !hasDiffered
      hasDiffered = true
      return isFirst
    },
    stop() {
      cancel?.()
      cancel = null
      rested = null
    },
  }
}

/** Equal for equal contents; null for a document that is too large. Throws what Loro throws. */
export function hashContent(doc: LoroDoc): Uint8Array | null {
  if (doc.opCount() > MAX_OPERATIONS) return null
  const roots = Object.entries(doc.toJSON() as Record<string, unknown>)
  // In Loro a root container exists as soon as somebody asks for it, which is no edit.
  const content = canonicalJson(Object.fromEntries(roots.filter(([, value]) => !isEmpty(value))))
  if (content.length > MAX_CHARACTERS) return null
  return sha256(new TextEncoder().encode(content)).slice(0, AUDIT_BYTES)
}

function isEmpty(value: unknown): boolean {
  if (value === "") return true
  if (typeof value === "number") return canonicalNumber(value) === "0"
  return typeof value === "object" && value !== null && Object.keys(value).length === 0
}

/** JSON with sorted keys. */
function canonicalJson(value: unknown): string {
  if (typeof value === "number") return canonicalNumber(value)
  if (value instanceof Uint8Array) return `{"bytes":[${sha256(value).join(",")}]}`
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null"
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(",")}}`
}

/** Replicas may add up the fractions of a counter in different orders, whose sums differ after some fifteen digits. */
function canonicalNumber(value: number): string {
  if (Number.isInteger(value)) return `${value}`
  if (Math.abs(value) < NOISE) return "0"
  const rounded = Number(value.toPrecision(12))
  return Number.isInteger(rounded) ? `${rounded}` : value.toPrecision(12)
}

/** What a report says when another device has different content for the same edits. */
export function describeDifference(id: string, sender: string): string {
  return `document "${id}" has other content here than at ${sender}, although both hold the same edits: a store is damaged, or two documents were edited under one Loro peer id. Compare the two, and copy what is right into a new document`
}
