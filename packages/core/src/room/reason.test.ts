import * as fc from "fast-check"
import { expect, test } from "vitest"
import { decodeFrame, encodeFrame } from "../protocol/frame-codec.ts"
import { reasonForWire } from "./reason.ts"

test("any reason fits its frame", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 600 }), (reason) => {
      expect(() => decodeFrame(encodeFrame({ type: "bye", reason: reasonForWire(reason) }))).not.toThrow()
    }),
  )
})
