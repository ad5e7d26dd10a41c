import { createDecipheriv } from "node:crypto"
import { beforeAll, describe, expect, test } from "vitest"
import vectors from "../../vectors/envelope.json" with { type: "json" }
import type { Random } from "../ports/random.ts"
import { systemRandom } from "../ports/random.ts"
import { bytesToHex, hexToBytes } from "../protocol/hex.ts"
import {
  createEnvelopeOpener,
  type Envelope,
  type EnvelopeContext,
  type EnvelopeDefect,
  MAX_PAYLOAD_BYTES,
  sealEnvelope,
} from "./envelope.ts"
import { importAesKey } from "./primitives.ts"

const ada = new Uint8Array(16).fill(0xa)
const bob = new Uint8Array(16).fill(0xb)
const connection = new Uint8Array(8).fill(0xc)
const payload = new TextEncoder().encode("v=0 and so on")
let atAda: EnvelopeContext
let atBob: EnvelopeContext
beforeAll(async () => {
  const room = {
    signalKey: await importAesKey(new Uint8Array(32).fill(5)),
    topic: new Uint8Array(32).fill(6),
    epoch: 1,
  }
  atAda = { ...room, self: ada }
  atBob = { ...room, self: bob }
})

const sealed = (context: EnvelopeContext = atAda, to = bob): Promise<Uint8Array<ArrayBuffer>> =>
  sealEnvelope(context, { type: "offer", to, connection, payload }, systemRandom())

test("what is sealed opens at its receiver", async () => {
  const opened = await createEnvelopeOpener(atBob).open(await sealed(), ada)
  expect(opened).toEqual({ type: "offer", from: ada, to: bob, connection, payload })
})

test("frozen envelopes are sealed and opened as ever", async () => {
  for (const vector of vectors) {
    const context: EnvelopeContext = {
      signalKey: await importAesKey(hexToBytes(vector.signalKey)),
      topic: hexToBytes(vector.topic),
      epoch: vector.epoch,
      self: hexToBytes(vector.from),
    }
    const message = {
      type: vector.type as Envelope["type"],
      to: hexToBytes(vector.to),
      connection: hexToBytes(vector.connection),
      payload: hexToBytes(vector.payload),
    }
    const fixed: Random = { bytes: () => hexToBytes(vector.nonce), unit: () => 0 }
    expect(bytesToHex(await sealEnvelope(context, message, fixed))).toBe(vector.envelope)

    // The same by other means, so that the vector does not merely confirm itself.
    const bytes = hexToBytes(vector.envelope)
    const decipher = createDecipheriv("aes-256-gcm", hexToBytes(vector.signalKey), bytes.subarray(38, 50))
    decipher.setAAD(Buffer.concat([bytes.subarray(0, 38), hexToBytes(vector.topic)]))
    decipher.setAuthTag(bytes.subarray(-16))
    const body = Buffer.concat([decipher.update(bytes.subarray(50, -16)), decipher.final()])
    expect(body.readUInt32BE(0)).toBe(message.payload.length)
    expect(body.subarray(4, 12).toString("hex")).toBe(vector.connection)
    expect(body.subarray(12, 12 + message.payload.length).toString("hex")).toBe(vector.payload)
  }
})

test("the length of a payload shows only in coarse steps", async () => {
  const sizes = await Promise.all(
    [0, 1, 499, 500, 501, MAX_PAYLOAD_BYTES].map(async (length) => {
      const message = { type: "offer", to: bob, connection, payload: new Uint8Array(length) } as const
      return (await sealEnvelope(atAda, message, systemRandom())).length - 66
    }),
  )
  expect(sizes).toEqual([512, 512, 512, 512, 1024, 16_384])
})

test("more than an envelope holds is refused before it is sealed", async () => {
  const message = {
    type: "offer",
    to: bob,
    connection,
    payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1),
  } as const
  await expect(sealEnvelope(atAda, message, systemRandom())).rejects.toThrow(RangeError)
})

describe("drops", () => {
  const cases: Record<EnvelopeDefect, () => Promise<{ bytes: Uint8Array; from?: Uint8Array }>> = {
    "bad-length": async () => ({ bytes: (await sealed()).slice(0, -1) }),
    "unknown-version": async () => ({ bytes: withByte(await sealed(), 0, 2) }),
    "unknown-type": async () => ({ bytes: withByte(await sealed(), 1, 99) }),
    "wrong-epoch": async () => ({ bytes: await sealed({ ...atAda, epoch: 2 }) }),
    "not-for-me": async () => ({ bytes: await sealed(atAda, new Uint8Array(16).fill(0xd)) }),
    "from-myself": async () => ({ bytes: await sealed(atBob), from: bob }),
    "wrong-sender": async () => ({ bytes: await sealed(), from: new Uint8Array(16).fill(0xe) }),
    forged: async () => ({ bytes: withByte(await sealed(), 60, 0) }),
    "bad-body": async () => ({ bytes: await sealRaw(withLength(0xffff_ffff)) }),
    replayed: async () => {
      const bytes = await sealed()
      await opener.open(bytes, ada)
      return { bytes }
    },
  }
  let opener = createEnvelopeOpener({ ...({} as EnvelopeContext) })
  for (const [defect, make] of Object.entries(cases)) {
    test(defect, async () => {
      opener = createEnvelopeOpener(atBob)
      const { bytes, from = ada } = await make()
      expect(await opener.open(bytes, from)).toBe(defect)
    })
  }

  test("an envelope of a non-member, by the same header", async () => {
    const signalKey = await importAesKey(new Uint8Array(32).fill(9))
    expect(await createEnvelopeOpener(atBob).open(await sealed({ ...atAda, signalKey }), ada)).toBe("forged")
  })

  test("an envelope of the same room under another topic", async () => {
    const topic = new Uint8Array(32).fill(9)
    expect(await createEnvelopeOpener(atBob).open(await sealed({ ...atAda, topic }), ada)).toBe("forged")
  })

  test("a header that was changed to another type", async () => {
    expect(await createEnvelopeOpener(atBob).open(withByte(await sealed(), 1, 2), ada)).toBe("forged")
  })

  test("padding that is not zero", async () => {
    const body = withLength(3)
    body[500] = 1
    expect(await createEnvelopeOpener(atBob).open(await sealRaw(body), ada)).toBe("bad-body")
  })

  test("one of two equal envelopes that come at once", async () => {
    const both = createEnvelopeOpener(atBob)
    const bytes = await sealed()
    const outcomes = await Promise.all([both.open(bytes, ada), both.open(bytes, ada)])
    expect(outcomes.filter((outcome) => outcome === "replayed")).toHaveLength(1)
  })

  test("no honest envelope because of a flood of forgeries before it", async () => {
    const flooded = createEnvelopeOpener(atBob)
    const first = await sealed()
    await flooded.open(first, ada)
    for (let index = 0; index < 5000; index++) {
      const forged = first.slice()
      crypto.getRandomValues(forged.subarray(38, 50))
      expect(await flooded.open(forged, ada)).toBe("forged")
    }
    expect(await flooded.open(first, ada)).toBe("replayed")
    expect(await flooded.open(await sealed(), ada)).toMatchObject({ type: "offer" })
  })
})

function withByte(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice()
  copy[at] = copy[at] === value ? value + 1 : value
  return copy
}

function withLength(length: number): Uint8Array {
  const body = new Uint8Array(512)
  new DataView(body.buffer).setUint32(0, length)
  return body
}

/** Seals a body that a member would never make. */
async function sealRaw(body: Uint8Array): Promise<Uint8Array> {
  const header = (await sealed()).slice(0, 38)
  const iv = new Uint8Array(12).fill(3)
  const additionalData = Uint8Array.of(...header, ...atAda.topic)
  const params = { name: "AES-GCM", iv, additionalData }
  const bytes = new Uint8Array(
    await crypto.subtle.encrypt(params, atAda.signalKey, body as Uint8Array<ArrayBuffer>),
  )
  return Uint8Array.of(...header, ...iv, ...bytes)
}
