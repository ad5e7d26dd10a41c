import { expect, test, vi } from "vitest"
import vectors from "../../vectors/record.json" with { type: "json" }
import type { Lane } from "../ports/transport.ts"
import { bytesToHex, hexToBytes } from "../protocol/hex.ts"
import { importAesKey } from "./primitives.ts"
import {
  createRecordLayer,
  RECORD_OVERHEAD_BYTES,
  type RecordFailure,
  type RecordLayer,
} from "./record-layer.ts"

interface Ends {
  readonly sender: RecordLayer
  readonly receiver: RecordLayer
  readonly wire: { lane: Lane; sealed: Uint8Array }[]
  readonly delivered: { lane: Lane; message: Uint8Array }[]
  readonly failures: RecordFailure[]
}

async function createEnds(): Promise<Ends> {
  const [one, two] = await Promise.all([1, 2].map((fill) => importAesKey(new Uint8Array(32).fill(fill))))
  const ends: Omit<Ends, "sender" | "receiver"> = { wire: [], delivered: [], failures: [] }
  const layer = (keys: { send: CryptoKey; receive: CryptoKey }): RecordLayer =>
    createRecordLayer({
      keys,
      transmit: (lane, sealed) => void ends.wire.push({ lane, sealed }),
      deliver: (lane, message) => void ends.delivered.push({ lane, message }),
      failed: (code) => void ends.failures.push(code),
    })
  const keys = { send: one as CryptoKey, receive: two as CryptoKey }
  return { ...ends, sender: layer(keys), receiver: layer({ send: keys.receive, receive: keys.send }) }
}

/** Waits until the expectation holds; cryptography takes its time on a busy machine. */
const eventually = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 5 })

/** Seals numbered messages on alternating lanes. */
async function sealSome(count: number): Promise<Ends> {
  const ends = await createEnds()
  for (let index = 0; index < count; index++) {
    ends.sender.send(index % 2 === 0 ? "control" : "bulk", Uint8Array.of(index))
  }
  await eventually(() => expect(ends.wire).toHaveLength(count))
  return ends
}

test("keeps the order of each lane, however the cryptography is scheduled", async () => {
  const ends = await createEnds()
  for (let index = 0; index < 200; index++) {
    // Large messages take longer to seal than the small ones after them.
    const message = new Uint8Array(index % 3 === 0 ? 60_000 : 2)
    new DataView(message.buffer).setUint16(0, index)
    ends.sender.send("control", message)
  }
  await eventually(() => expect(ends.wire).toHaveLength(200))
  for (const { lane, sealed } of ends.wire) ends.receiver.receive(lane, sealed)
  await eventually(() => expect(ends.delivered).toHaveLength(200))
  const order = ends.delivered.map(({ message }) => (message[0] as number) * 256 + (message[1] as number))
  expect(order).toEqual(Array.from({ length: 200 }, (_, index) => index))
  expect(ends.sender.sealing("control")).toBe(0)
})

test("frozen records are sealed as ever", async () => {
  const wire: string[] = []
  const key = await importAesKey(hexToBytes(vectors.key))
  const layer = createRecordLayer({
    keys: { send: key, receive: key },
    transmit: (lane, sealed) => void wire.push(`${lane} ${bytesToHex(sealed)}`),
    deliver: () => {},
    failed: () => {},
  })
  for (const { lane, plain } of vectors.records) layer.send(lane as Lane, hexToBytes(plain))
  await eventually(() => expect(wire).toHaveLength(vectors.records.length))
  for (const { lane, sealed } of vectors.records) expect(wire).toContain(`${lane} ${sealed}`)
  expect(RECORD_OVERHEAD_BYTES).toBe(16)
})

const attacks: Record<string, (wire: Ends["wire"]) => Ends["wire"]> = {
  "a changed record": ([first, ...rest]) => [
    { lane: first!.lane, sealed: first!.sealed.map((byte, index) => (index === 0 ? byte ^ 1 : byte)) },
    ...rest,
  ],
  "a lost record": ([, ...rest]) => rest,
  "a repeated record": ([first, ...rest]) => [first!, first!, ...rest],
  "swapped records": ([first, second, third, ...rest]) => [third!, second!, first!, ...rest],
  "a record moved to the other lane": ([first, ...rest]) => [
    { ...first!, lane: first!.lane === "control" ? "bulk" : "control" },
    ...rest,
  ],
  "an empty record": (wire) => [{ lane: "control" as const, sealed: new Uint8Array(0) }, ...wire],
}
for (const [name, attack] of Object.entries(attacks)) {
  test(`${name} ends the link, once, and nothing behind it is delivered`, async () => {
    const ends = await sealSome(6)
    for (const { lane, sealed } of attack(ends.wire)) ends.receiver.receive(lane, sealed)
    await eventually(() => expect(ends.failures).toEqual(["forged"]))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(ends.failures).toHaveLength(1)
    expect(ends.delivered.length).toBeLessThan(6)
  })
}

test("records of one's own that come back do not open", async () => {
  const ends = await sealSome(1)
  ends.sender.receive(ends.wire[0]!.lane, ends.wire[0]!.sealed)
  await eventually(() => expect(ends.failures).toEqual(["forged"]))
})

test("more than can wait ends the link instead of growing", async () => {
  const ends = await createEnds()
  for (let index = 0; index < 300; index++) ends.receiver.receive("bulk", new Uint8Array(65_536))
  expect(ends.failures).toEqual(["backlog"])
})
