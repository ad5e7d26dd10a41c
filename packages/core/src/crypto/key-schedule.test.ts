import { hkdfSync } from "node:crypto"
import { expect, test } from "vitest"
import vectors from "../../vectors/key-schedule.json" with { type: "json" }
import { bytesToHex, hexToBytes } from "../protocol/hex.ts"
import { deriveRoomKeys } from "./key-schedule.ts"
import { importAesKey, seal, unseal } from "./primitives.ts"

test("frozen rooms derive what they always derived", async () => {
  for (const { roomId, epoch, secret, topic, signalKey, psk, digestKey, roomTag } of vectors) {
    const keys = await deriveRoomKeys({
      roomId: hexToBytes(roomId),
      epoch,
      secret: hexToBytes(secret),
      servers: [],
    })
    expect({
      topic: bytesToHex(keys.topic),
      psk: bytesToHex(keys.psk),
      digestKey: bytesToHex(keys.digestKey),
      roomTag: bytesToHex(keys.roomTag),
    }).toEqual({ topic, psk, digestKey, roomTag })
    expect(keys.signalKey.extractable).toBe(false)
    // The key cannot be read, so check that it opens what the frozen key seals.
    const [nonce, plain] = [new Uint8Array(12), Uint8Array.of(1, 2, 3)]
    const sealed = await seal(await importAesKey(hexToBytes(signalKey)), nonce, plain, plain)
    expect(await unseal(keys.signalKey, nonce, sealed, plain)).toEqual(plain)

    // By other means, so that the vector does not merely confirm itself.
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(epoch)
    const info = Buffer.concat([Buffer.from("dunlin/1 topic"), counter])
    const byHand = hkdfSync("sha256", hexToBytes(secret), hexToBytes(roomId), info, 32)
    expect(bytesToHex(new Uint8Array(byHand))).toBe(topic)
  }
})

test("every key depends on room, epoch and secret", async () => {
  const base = { roomId: new Uint8Array(16), epoch: 0, secret: new Uint8Array(32), servers: [] }
  const variants = await Promise.all(
    [
      base,
      { ...base, epoch: 1 },
      { ...base, roomId: new Uint8Array(16).fill(1) },
      { ...base, secret: new Uint8Array(32).fill(1) },
    ].map(deriveRoomKeys),
  )
  for (const field of ["topic", "psk", "digestKey", "roomTag"] as const) {
    expect(new Set(variants.map((keys) => bytesToHex(keys[field]))).size).toBe(variants.length)
  }
  const [first] = variants
  const fields = [first!.topic, first!.psk, first!.digestKey, first!.roomTag].map(bytesToHex)
  expect(new Set(fields).size).toBe(4)
})
