import { DecodeError } from "@dunlin/core"
import * as fc from "fast-check"
import { expect, test } from "vitest"
import { keyOfBytes } from "../binary-key.ts"
import { type ClusterMessage, decodeClusterMessage, encodeClusterMessage } from "./cluster-message.ts"

const key = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(keyOfBytes)
const birth = fc.uint8Array({ minLength: 12, maxLength: 12 }).map(keyOfBytes)
const generation = fc.nat(0xffff_ffff)
const node = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)

const message: fc.Arbitrary<ClusterMessage> = fc.oneof(
  fc.record({ type: fc.constant("heartbeat" as const), node, uptimeMs: fc.maxSafeNat() }),
  fc.record({ type: fc.constant("ask" as const), node, topic: key }),
  fc.record({ type: fc.constant("find" as const), node, topic: key, peer: key }),
  fc.record({
    type: fc.constant("found" as const),
    topic: key,
    peer: key,
    claim: key,
    birth,
    generation,
  }),
  fc.record({
    type: fc.constant("announce" as const),
    node,
    topic: key,
    complete: fc.boolean(),
    joined: fc.array(fc.record({ peer: key, claim: key, took: fc.option(key), birth, generation }), {
      maxLength: 20,
    }),
    left: fc.array(key, { maxLength: 20 }),
  }),
  fc.record({
    type: fc.constant("signal" as const),
    node,
    topic: key,
    to: key,
    from: key,
    blob: fc.uint8Array({ maxLength: 100 }),
  }),
  fc.record({
    type: fc.constant("unreachable" as const),
    topic: key,
    sender: key,
    peer: key,
    reason: fc.constantFrom("gone" as const, "away" as const, "busy" as const),
  }),
)

test("every message comes back as it was", () => {
  fc.assert(
    fc.property(message, (m) => void expect(decodeClusterMessage(encodeClusterMessage(m))).toEqual(m)),
  )
})

test("anything else is a DecodeError", () => {
  const headed = fc
    .tuple(fc.nat(7), fc.uint8Array({ maxLength: 200 }))
    .map(([tag, rest]) => new Uint8Array([1, tag, ...rest]))
  fc.assert(
    fc.property(fc.oneof(headed, fc.uint8Array({ maxLength: 200 })), (bytes) => {
      try {
        decodeClusterMessage(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError)
      }
    }),
    { numRuns: 2000 },
  )
})
