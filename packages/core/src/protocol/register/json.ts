import { DecodeError } from "../decode-error.ts"
import { decodeUtf8 } from "../utf8.ts"
import { RegisterError } from "./register-error.ts"

/** What a document may hold: JSON (RFC 8259), nested at most 64 deep, without the keys that reach a prototype. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: Json
}

export const MAX_JSON_DEPTH = 64
/** Of one document as canonical JSON. */
export const MAX_PAYLOAD_BYTES: number = 32 * 1024 * 1024

/** Keys that reach an object's prototype through careless code anywhere behind us. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"])

/**
 * One text for each JSON value: keys sorted by UTF-16 code units, no spaces, `undefined` members left out as
 * `JSON.stringify` does. Throws `RegisterError` "unshareable" for what cannot be shared.
 */
export function canonicalJson(value: unknown): string {
  return write(value, 0)
}

/** Parses canonical bytes from a peer into an object without forbidden keys. Throws only `DecodeError`. */
export function parseCanonicalObject(bytes: Uint8Array): {
  readonly object: JsonObject
  readonly text: string
} {
  let text: string
  let value: unknown
  try {
    text = decodeUtf8(bytes)
    value = JSON.parse(text)
  } catch {
    throw new DecodeError("bad-value", "not JSON")
  }
  if (!isObject(value)) throw new DecodeError("bad-value", "not a JSON object")
  // The platform's writer is quicker than ours, and writes the same when the keys are in order already.
  if (isInOrder(value, 0) && JSON.stringify(value) === text) return { object: value as JsonObject, text }
  let canonical: string
  try {
    canonical = canonicalJson(value)
  } catch (error) {
    throw new DecodeError("bad-value", error instanceof Error ? error.message : "not shareable")
  }
  // A second spelling of the same value would give it a second hash.
  if (canonical !== text) throw new DecodeError("bad-value", "JSON not canonical")
  return { object: value as JsonObject, text }
}

/** A deep copy of shareable JSON; refuses what `canonicalJson` refuses. */
export function cloneJson<T>(value: T): T {
  return copy(value, 0) as T
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case "string":
      return writeString(value)
    case "boolean":
      return value ? "true" : "false"
    case "number":
      if (!Number.isFinite(value)) throw unshareable(`the number ${value} is not JSON`)
      return Object.is(value, -0) ? "0" : String(value)
    case "object":
      if (value === null) return "null"
      checkDepth(depth)
      return Array.isArray(value) ? writeArray(value, depth) : writeObject(value, depth)
    default:
      throw unshareable(`a ${typeof value} is not JSON`)
  }
}

/** What `JSON.stringify` gives, which is several times slower over a long text without anything to escape. */
function writeString(text: string): string {
  return MAY_NEED_ESCAPES.test(text) ? JSON.stringify(text) : `"${text}"`
}

/** Control characters, quotes, backslashes, and halves of surrogate pairs, which are escaped where they stand alone. */
const MAY_NEED_ESCAPES = /[^ !#-[\]-\ud7ff\ue000-\uffff]/

function writeArray(items: readonly unknown[], depth: number): string {
  let text = "["
  for (let index = 0; index < items.length; index++) {
    if (index > 0) text += ","
    const item = items[index]
    text += item === undefined ? "null" : write(item, depth + 1)
  }
  return `${text}]`
}

function writeObject(object: object, depth: number): string {
  const members = object as Readonly<Record<string, unknown>>
  let text = "{"
  const keys = Object.keys(members)
  if (!ascend(keys)) keys.sort()
  for (const key of keys) {
    const member = members[key]
    if (member === undefined) continue
    checkKey(key)
    if (text.length > 1) text += ","
    text += `${JSON.stringify(key)}:${write(member, depth + 1)}`
  }
  return `${text}}`
}

function copy(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) {
    if (typeof value === "function" || typeof value === "symbol" || typeof value === "bigint")
      throw unshareable(`a ${typeof value} is not JSON`)
    return value
  }
  checkDepth(depth)
  if (Array.isArray(value)) return value.map((item) => copy(item, depth + 1))
  const copied: Record<string, unknown> = {}
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue
    checkKey(key)
    copied[key] = copy(member, depth + 1)
  }
  return copied
}

/** Whether all keys of parsed JSON are allowed, in canonical order and not too deep. */
function isInOrder(value: object, depth: number): boolean {
  if (depth >= MAX_JSON_DEPTH) return false
  if (Array.isArray(value)) {
    for (const item of value as readonly unknown[])
      if (typeof item === "object" && item !== null && !isInOrder(item, depth + 1)) return false
    return true
  }
  const members = value as Readonly<Record<string, unknown>>
  let last: string | null = null
  for (const key in members) {
    if ((last !== null && last >= key) || FORBIDDEN_KEYS.has(key)) return false
    last = key
    const member = members[key]
    if (typeof member === "object" && member !== null && !isInOrder(member, depth + 1)) return false
  }
  return true
}

function ascend(keys: readonly string[]): boolean {
  for (let at = 1; at < keys.length; at++) if ((keys[at - 1] as string) > (keys[at] as string)) return false
  return true
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function checkDepth(depth: number): void {
  if (depth >= MAX_JSON_DEPTH) throw unshareable(`nested deeper than ${MAX_JSON_DEPTH} levels`)
}

function checkKey(key: string): void {
  if (FORBIDDEN_KEYS.has(key)) throw unshareable(`the key "${key}" is not allowed`)
}

function unshareable(reason: string): RegisterError {
  return new RegisterError("unshareable", `This document cannot be shared: ${reason}. Change the document.`)
}
