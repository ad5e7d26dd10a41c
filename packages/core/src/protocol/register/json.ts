import { DecodeError } from "../decode-error.ts"
import { FORBIDDEN_KEYS } from "../forbidden-keys.ts"
import { decodeUtf8 } from "../utf8.ts"
import { RegisterError } from "./register-error.ts"

/** What a document may hold: JSON (RFC 8259), nested at most 64 deep, without the keys that reach a prototype. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: Json
}

const { toString } = Object.prototype

export const MAX_JSON_DEPTH = 64
/** Of one document as canonical JSON. */
export const MAX_PAYLOAD_BYTES: number = 32 * 1024 * 1024

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
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new DecodeError("bad-value", "not a JSON object")
  // A second spelling of the same value would give it a second hash.
  if (pastValue(value, text, 0, 0) !== text.length)
    throw new DecodeError("bad-value", "JSON not canonical, or not shareable")
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

/** The same as `JSON.stringify`, which is several times slower for a long text that needs no escapes. */
function writeString(text: string): string {
  return MAY_NEED_ESCAPES.test(text) ? JSON.stringify(text) : `"${text}"`
}

/** Control characters, quotes, backslashes, and halves of surrogate pairs, which are escaped if they stand alone. */
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
  checkPlain(object)
  const members = object as Readonly<Record<string, unknown>>
  let text = "{"
  for (const key of sortedKeys(members)) {
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
  checkPlain(value)
  const copied: Record<string, unknown> = {}
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue
    checkKey(key)
    copied[key] = copy(member, depth + 1)
  }
  return copied
}

/**
 * The index after `value` in `text` if `text`, which parsed as JSON, has its canonical spelling at `at`; otherwise NaN.
 * Compares without writing JSON, which takes the platform five times as long as parsing a long text.
 */
function pastValue(value: unknown, text: string, at: number, depth: number): number {
  if (typeof value === "string") {
    // A literal that equals its value has no escapes, and one that needed an escape would not have parsed.
    const end = at + value.length + 1
    return text[end] === '"' && text.slice(at + 1, end) === value
      ? end + 1
      : past(JSON.stringify(value), text, at)
  }
  if (typeof value !== "object" || value === null) return past(String(value), text, at)
  if (depth >= MAX_JSON_DEPTH) return Number.NaN
  let next = at
  if (Array.isArray(value)) {
    for (const item of value as readonly unknown[])
      next = pastValue(item, text, past(next === at ? "[" : ",", text, next), depth + 1)
    return past(next === at ? "[]" : "]", text, next)
  }
  const members = value as Readonly<Record<string, unknown>>
  for (const key of sortedKeys(members)) {
    if (FORBIDDEN_KEYS.has(key)) return Number.NaN
    next = past(":", text, pastValue(key, text, past(next === at ? "{" : ",", text, next), depth))
    next = pastValue(members[key], text, next, depth + 1)
  }
  return past(next === at ? "{}" : "}", text, next)
}

/** The index after `part` if `text` has it at `at`; otherwise NaN. */
function past(part: string, text: string, at: number): number {
  const end = at + part.length
  return text.slice(at, end) === part ? end : Number.NaN
}

/** Sorted by UTF-16 code units, an order in which most objects are already written. */
function sortedKeys(members: object): readonly string[] {
  const keys = Object.keys(members)
  for (let at = 1; at < keys.length; at++)
    if ((keys[at - 1] as string) > (keys[at] as string)) return keys.sort()
  return keys
}

function checkDepth(depth: number): void {
  if (depth >= MAX_JSON_DEPTH) throw unshareable(`nested deeper than ${MAX_JSON_DEPTH} levels`)
}

/** A date, a map or a set has no members of its own: it would arrive as `{}`. */
function checkPlain(object: object): void {
  const tag = toString.call(object)
  if (tag !== "[object Object]") throw unshareable(`a ${tag.slice(8, -1)} is not JSON`)
}

function checkKey(key: string): void {
  if (FORBIDDEN_KEYS.has(key)) throw unshareable(`the key "${key}" is not allowed`)
}

function unshareable(reason: string): RegisterError {
  return new RegisterError("unshareable", `This document cannot be shared: ${reason}. Change the document.`)
}
