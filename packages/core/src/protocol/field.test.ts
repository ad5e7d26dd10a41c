import { describe, expect, test } from "vitest"
import { ByteReader } from "./byte-reader.ts"
import { ByteWriter } from "./byte-writer.ts"
import { DecodeError } from "./decode-error.ts"
import {
  block,
  bytes,
  checked,
  type Field,
  FLAG,
  list,
  oneOf,
  optional,
  payload,
  rest,
  struct,
  text,
  U32,
  U8,
  varint,
} from "./field.ts"

function written<Value>(field: Field<Value>, value: Value): Uint8Array<ArrayBuffer> {
  const to = new ByteWriter()
  field.write(to, value)
  return to.finish()
}

function codeOf<Value>(field: Field<Value>, input: readonly number[]): string {
  try {
    field.read(new ByteReader(Uint8Array.from(input)))
  } catch (error) {
    if (error instanceof DecodeError) return error.code
    throw error
  }
  return "read"
}

describe("what a field writes", () => {
  const cases: readonly (readonly [string, Field<never>, unknown, readonly number[]])[] = [
    ["u8", U8, 7, [7]],
    ["u32", U32, 258, [0, 0, 1, 2]],
    ["a flag", FLAG, true, [1]],
    ["a varint", varint(), 300, [0xac, 2]],
    ["bytes", bytes(2), Uint8Array.of(5, 6), [5, 6]],
    ["a block", block(9), Uint8Array.of(5, 6), [2, 5, 6]],
    ["text", text(9), "é", [2, 0xc3, 0xa9]],
    ["the rest", rest(9, "it"), Uint8Array.of(5), [5]],
    ["an optional value", optional(U8), 5, [1, 5]],
    ["none", optional(U8), null, [0]],
    ["a list", list(U8, 9, 1), [5, 6], [2, 5, 6]],
    ["one of some", oneOf(["a", "b"], "it"), "b", [1]],
    ["members in their order", struct({ b: U8, a: U8 }), { a: 1, b: 2 }, [2, 1]],
  ] as never
  test.each(cases)("%s is what it reads", (_, field, value, wire) => {
    expect([...written(field, value as never)]).toEqual(wire)
    expect(field.read(new ByteReader(Uint8Array.from(wire)))).toEqual(value)
  })
})

test("a payload is read, and left to whoever encodes the frame", () => {
  expect([...written(payload(9, "it"), Uint8Array.of(1))]).toEqual([])
  expect(payload(9, "it").read(new ByteReader(Uint8Array.of(1)))).toEqual(Uint8Array.of(1))
})

test.each([
  ["bytes", bytes(1), [1]],
  ["a block", block(1), [1, 1]],
  ["the rest", rest(1, "it"), [1]],
] as const)("%s share no memory with what they were read from", (_, field, wire) => {
  const input = Uint8Array.from(wire)
  const read = field.read(new ByteReader(input))
  input.fill(9)
  expect([...read]).toEqual([1])
})

test("input that is out of bounds is refused by its code", () => {
  expect([
    codeOf(bytes(2), [1]),
    codeOf(rest(1, "it"), [1, 2]),
    codeOf(payload(1, "it"), [1, 2]),
    codeOf(list(U8, 1, 1), [2, 0, 0]),
    codeOf(list(U32, 9, 4), [2, 0, 0, 0, 0]),
    codeOf(oneOf(["a"], "it"), [1]),
    codeOf(
      checked(U8, (value) => value > 1, "it"),
      [1],
    ),
    codeOf(optional(U8), [2]),
  ]).toEqual([
    "truncated",
    "frame-too-large",
    "frame-too-large",
    "too-many-items",
    "truncated",
    "bad-value",
    "bad-value",
    "bad-value",
  ])
})
