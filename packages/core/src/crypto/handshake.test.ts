import { createHash, createHmac } from "node:crypto"
import { beforeAll, describe, expect, test } from "vitest"
import vectors from "../../vectors/handshake.json" with { type: "json" }
import { type Random, systemRandom } from "../ports/random.ts"
import { bytesToHex, hexToBytes } from "../protocol/hex.ts"
import {
  createHandshake,
  type Handshake,
  type HandshakeFailure,
  type HandshakeOptions,
  type HandshakeStep,
  type ProvenPeer,
} from "./handshake.ts"
import { type DeviceKey, memoryIdentity } from "./identity.ts"
import { agree, importPrivateKey, label, publicKeyOf, seal, sign, unseal } from "./primitives.ts"

const adaPrint = new Uint8Array(32).fill(0xa1)
const bobPrint = new Uint8Array(32).fill(0xb1)
const random = systemRandom()
let ada: HandshakeOptions
let bob: HandshakeOptions
beforeAll(async () => {
  const room = { roomId: random.bytes(16), epoch: 0, psk: random.bytes(32), random }
  const [adaKey, bobKey] = await Promise.all([memoryIdentity().load(), memoryIdentity().load()])
  ada = {
    ...room,
    role: "offerer",
    binding: { local: adaPrint, remote: bobPrint },
    session: random.bytes(16),
    device: adaKey,
  }
  bob = {
    ...room,
    role: "answerer",
    binding: { local: bobPrint, remote: adaPrint },
    session: random.bytes(16),
    device: bobKey,
  }
})

interface Outcome {
  readonly ada: HandshakeStep
  readonly bob: HandshakeStep
}

/** Runs both sides; `onWire` may change each message on its way. */
async function shake(
  adaOptions: HandshakeOptions,
  bobOptions: HandshakeOptions,
  onWire: (message: Uint8Array, from: "ada" | "bob") => Uint8Array = (message) => message,
): Promise<Outcome> {
  const [left, right] = await Promise.all([createHandshake(adaOptions), createHandshake(bobOptions)])
  const atBob = await right.receive(onWire(left.first, "ada"))
  const atAda = await left.receive(onWire(right.first, "bob"))
  if (atAda.type !== "reply" || atBob.type !== "reply") return { ada: atAda, bob: atBob }
  return {
    ada: await left.receive(onWire(atBob.message, "bob")),
    bob: await right.receive(onWire(atAda.message, "ada")),
  }
}

const proven = (step: HandshakeStep): ProvenPeer => {
  if (step.type !== "proven") throw new Error(`not proven: ${JSON.stringify(step)}`)
  return step.peer
}

describe("two members", () => {
  test("prove themselves and share keys that fit", async () => {
    const outcome = await shake(ada, bob)
    const [bobSeen, adaSeen] = [proven(outcome.ada), proven(outcome.bob)]
    expect(bobSeen.device).toEqual(bob.device.publicKey)
    expect(bobSeen.session).toEqual(bob.session)
    expect(adaSeen.device).toEqual(ada.device.publicKey)
    expect(adaSeen.transcript).toEqual(bobSeen.transcript)
    expect([bobSeen.role, adaSeen.role]).toEqual(["offerer", "answerer"])
    const nonce = new Uint8Array(12)
    const sealed = await seal(bobSeen.recordKeys.send, nonce, Uint8Array.of(1, 2), nonce)
    expect(await unseal(adaSeen.recordKeys.receive, nonce, sealed, nonce)).toEqual(Uint8Array.of(1, 2))
    expect(await unseal(adaSeen.recordKeys.send, nonce, sealed, nonce)).toBeNull()
  })

  test("agree on roles where no path gave them any", async () => {
    const outcome = await shake(
      { ...ada, role: "undecided", binding: null },
      { ...bob, role: "undecided", binding: null },
    )
    expect([proven(outcome.ada).role, proven(outcome.bob).role].toSorted()).toEqual(["answerer", "offerer"])
  })

  test("may share a device key: two tabs, or a copied profile", async () => {
    const outcome = await shake(ada, { ...bob, device: ada.device })
    expect(proven(outcome.ada).device).toEqual(ada.device.publicKey)
  })

  test("never share keys with what they said before", async () => {
    const [one, two] = [await shake(ada, bob), await shake(ada, bob)]
    expect(proven(one.ada).transcript).not.toEqual(proven(two.ada).transcript)
  })
})

const lowOrderPoints = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map(hexToBytes)

const patched = (message: Uint8Array, at: number, bytes: ArrayLike<number>): Uint8Array => {
  const copy = message.slice()
  copy.set(bytes, at)
  return copy
}

describe("the first message is refused", () => {
  const receiveFirst = async (
    change: (first: Uint8Array, own: Handshake) => Uint8Array,
  ): Promise<HandshakeStep> => {
    const [left, right] = await Promise.all([createHandshake(ada), createHandshake(bob)])
    return right.receive(change(left.first, right))
  }
  const cases: Record<string, [HandshakeFailure, (first: Uint8Array, own: Handshake) => Uint8Array]> = {
    "when it is short": ["bad-length", (first) => first.slice(0, 83)],
    "when it is long": ["bad-length", (first) => Uint8Array.of(...first, 0)],
    "when it is empty": ["bad-length", () => new Uint8Array(0)],
    "for another version": ["unknown-version", (first) => patched(first, 0, [2])],
    "for another suite": ["unknown-suite", (first) => patched(first, 1, [2])],
    "for unknown flags": ["unknown-flags", (first) => patched(first, 3, [1])],
    "when it is our own": ["equal-messages", (_, own) => own.first],
    "when it has our ephemeral key": [
      "reflected",
      (first, own) => patched(first, 52, own.first.subarray(52)),
    ],
    "when it is ours with another nonce": [
      "reflected",
      (_, own) => patched(own.first, 20, new Uint8Array(32)),
    ],
    "when it has our session id": [
      "own-session",
      (first, own) => patched(first, 4, own.first.subarray(4, 20)),
    ],
  }
  for (const [name, [code, change]] of Object.entries(cases)) {
    test(name, async () => expect(await receiveFirst(change)).toEqual({ type: "failed", code }))
  }
  for (const [index, point] of lowOrderPoints.entries()) {
    test(`for low-order point ${index}`, async () => {
      expect(await receiveFirst((first) => patched(first, 52, point))).toEqual({
        type: "failed",
        code: "low-order-point",
      })
    })
  }
})

describe("the proof is refused", () => {
  const impostors: Record<
    string,
    (members: { ada: HandshakeOptions; bob: HandshakeOptions }) => HandshakeOptions
  > = {
    "of a wrong invite": ({ ada: member }) => ({ ...member, psk: random.bytes(32) }),
    "of another room with the same secret": ({ ada: member }) => ({ ...member, roomId: random.bytes(16) }),
    "of a wrong epoch": ({ ada: member }) => ({ ...member, epoch: 1 }),
    "when both sides claim one role": ({ ada: member }) => ({ ...member, role: "answerer" }),
    "when somebody sits between with certificates of its own": ({ ada: member }) => ({
      ...member,
      binding: { local: adaPrint, remote: new Uint8Array(32).fill(0xee) },
    }),
    "when the certificates were swapped": ({ ada: member }) => ({
      ...member,
      binding: { local: bobPrint, remote: adaPrint },
    }),
    "when one side sees no certificates": ({ ada: member }) => ({ ...member, binding: null }),
  }
  for (const [name, impostor] of Object.entries(impostors)) {
    test(name, async () => {
      const outcome = await shake(impostor({ ada, bob }), bob)
      expect([outcome.ada, outcome.bob]).toEqual(
        Array.from({ length: 2 }, () => ({ type: "failed", code: "wrong-key" })),
      )
    })
  }

  test("when it shows a device key whose private half it has not", async () => {
    const thief = await memoryIdentity().load()
    const copied: DeviceKey = { publicKey: ada.device.publicKey, sign: (message) => thief.sign(message) }
    const outcome = await shake({ ...ada, device: copied }, bob)
    expect(outcome.bob).toEqual({ type: "failed", code: "bad-signature" })
  })

  test("when its device key is no point on the curve", async () => {
    const broken: DeviceKey = { publicKey: new Uint8Array(32).fill(0xff), sign: ada.device.sign }
    expect((await shake({ ...ada, device: broken }, bob)).bob).toEqual({
      type: "failed",
      code: "bad-signature",
    })
  })

  test("when the signature was made for the other role", async () => {
    const swapped: DeviceKey = {
      publicKey: ada.device.publicKey,
      sign: (message) => ada.device.sign(patched(message, label("hs-auth").length, [1])),
    }
    expect((await shake({ ...ada, device: swapped }, bob)).bob).toEqual({
      type: "failed",
      code: "bad-signature",
    })
  })

  const changes: Record<string, [HandshakeFailure, (message: Uint8Array) => Uint8Array]> = {
    "when one bit of it changed": ["wrong-key", (message) => patched(message, 40, [(message[40] ?? 0) ^ 1])],
    "when its tag changed": ["wrong-key", (message) => patched(message, 111, [(message[111] ?? 0) ^ 1])],
    "when it is cut": ["bad-length", (message) => message.slice(0, 111)],
    "when it is longer": ["bad-length", (message) => Uint8Array.of(...message, 0)],
  }
  for (const [name, [code, change]] of Object.entries(changes)) {
    test(name, async () => {
      const outcome = await shake(ada, bob, (message, from) =>
        from === "ada" && message.length === 112 ? change(message) : message,
      )
      expect(outcome.bob).toEqual({ type: "failed", code })
    })
  }

  test("when it is our own", async () => {
    const [left, right] = await Promise.all([createHandshake(ada), createHandshake(bob)])
    const reply = await right.receive(left.first)
    if (reply.type !== "reply") throw new Error("no reply")
    expect(await right.receive(reply.message)).toEqual({ type: "failed", code: "reflected" })
  })

  test("when it is from another handshake of the same two", async () => {
    const proofs: Uint8Array[] = []
    await shake(ada, bob, (message, from) => {
      if (from === "ada" && message.length === 112) proofs.push(message)
      return message
    })
    const outcome = await shake(ada, bob, (message, from) =>
      from === "ada" && message.length === 112 ? (proofs[0] ?? message) : message,
    )
    expect(outcome.bob).toEqual({ type: "failed", code: "wrong-key" })
  })

  test("when the first messages were changed on their way", async () => {
    const outcome = await shake(ada, bob, (message, from) =>
      from === "ada" && message.length === 84 ? patched(message, 30, [(message[30] ?? 0) ^ 1]) : message,
    )
    expect([outcome.ada, outcome.bob]).toEqual(
      Array.from({ length: 2 }, () => ({ type: "failed", code: "wrong-key" })),
    )
  })

  test("when the session id was changed on its way", async () => {
    const outcome = await shake(ada, bob, (message, from) =>
      from === "bob" && message.length === 84 ? patched(message, 4, random.bytes(16)) : message,
    )
    expect(outcome.bob).toEqual({ type: "failed", code: "wrong-key" })
  })
})

test("after success or failure nothing more is taken", async () => {
  const [left, right] = await Promise.all([createHandshake(ada), createHandshake(bob)])
  const replies = [await left.receive(right.first), await right.receive(left.first)]
  const [atAda, atBob] = replies.map((step) => (step.type === "reply" ? step.message : new Uint8Array()))
  await right.receive(atAda ?? new Uint8Array())
  expect(await right.receive(atAda ?? new Uint8Array())).toEqual({
    type: "failed",
    code: "unexpected-message",
  })
  await left.receive(new Uint8Array(3))
  expect(await left.receive(atBob ?? new Uint8Array())).toEqual({
    type: "failed",
    code: "unexpected-message",
  })
})

test("frozen handshakes have the frozen messages", async () => {
  for (const vector of vectors) {
    const side = async (name: "offerer" | "answerer"): Promise<Handshake> => {
      const own = vector[name]
      const other = vector[name === "offerer" ? "answerer" : "offerer"]
      const privateKey = await importPrivateKey("Ed25519", hexToBytes(own.deviceSeed))
      const fixed: Random = { bytes: () => hexToBytes(own.nonce), unit: () => 0 }
      return createHandshake({
        role: vector.undecided ? "undecided" : name,
        roomId: hexToBytes(vector.roomId),
        epoch: vector.epoch,
        psk: hexToBytes(vector.psk),
        binding:
          own.fingerprint === null || other.fingerprint === null
            ? null
            : { local: hexToBytes(own.fingerprint), remote: hexToBytes(other.fingerprint) },
        session: hexToBytes(own.session),
        device: {
          publicKey: await publicKeyOf("Ed25519", hexToBytes(own.deviceSeed)),
          sign: (message) => sign(privateKey, message),
        },
        random: fixed,
        ephemeral: {
          publicKey: await publicKeyOf("X25519", hexToBytes(own.ephemeralSeed)),
          privateKey: await importPrivateKey("X25519", hexToBytes(own.ephemeralSeed)),
        },
      })
    }
    const [offerer, answerer] = [await side("offerer"), await side("answerer")]
    expect(bytesToHex(offerer.first)).toBe(vector.offerer.first)
    expect(bytesToHex(answerer.first)).toBe(vector.answerer.first)
    const [fromOfferer, fromAnswerer] = [
      await offerer.receive(answerer.first),
      await answerer.receive(offerer.first),
    ]
    expect(fromOfferer).toEqual({ type: "reply", message: hexToBytes(vector.offerer.proof) })
    expect(fromAnswerer).toEqual({ type: "reply", message: hexToBytes(vector.answerer.proof) })
    const peer = proven(await offerer.receive(hexToBytes(vector.answerer.proof)))
    expect(bytesToHex(peer.transcript)).toBe(vector.transcript)

    // The key schedule by other means, so that the vector does not merely confirm itself.
    const zero = "00".repeat(32)
    const epoch = Buffer.alloc(4)
    epoch.writeUInt32BE(vector.epoch)
    const transcript = createHash("sha256")
      .update("dunlin/1 hs")
      .update(hexToBytes(vector.roomId))
      .update(epoch)
      .update(hexToBytes(vector.offerer.fingerprint ?? zero))
      .update(hexToBytes(vector.answerer.fingerprint ?? zero))
      .update(offerer.first)
      .update(answerer.first)
      .digest()
    expect(transcript.toString("hex")).toBe(vector.transcript)
    const shared = await agree(
      await importPrivateKey("X25519", hexToBytes(vector.offerer.ephemeralSeed)),
      answerer.first.subarray(52),
    )
    const master = hkdfByHand(shared ?? new Uint8Array(), hexToBytes(vector.psk), [
      Buffer.from("dunlin/1 hs-master"),
      transcript,
    ])
    expect(master.toString("hex")).toBe(vector.master)
    const recordKey = hkdfByHand(master, Buffer.alloc(0), [Buffer.from("dunlin/1 rec offerer")])
    expect(recordKey.toString("hex")).toBe(vector.offererRecordKey)
  }
})

/** RFC 5869 for 32 bytes: one round of expansion. */
function hkdfByHand(key: Uint8Array, salt: Uint8Array, info: readonly Uint8Array[]): Buffer {
  const extracted = createHmac("sha256", salt.length === 0 ? Buffer.alloc(32) : salt)
    .update(key)
    .digest()
  return createHmac("sha256", extracted)
    .update(Buffer.concat([...info, Buffer.of(1)]))
    .digest()
}
