import { describe, expect, test } from "vitest"
import { memoryIdentity } from "../crypto/identity.ts"
import { deriveRoomKeys } from "../crypto/key-schedule.ts"
import { systemRandom } from "../ports/random.ts"
import type { Pipe, PipeReceiver } from "../ports/transport.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import { createSecureChannel, type SecureChannel, type SecureCloseReason } from "./secure-channel.ts"

interface End {
  readonly channel: SecureChannel
  readonly receiver: PipeReceiver
  readonly reasons: SecureCloseReason[]
  proven: boolean
}

const time = createSimulatedTime()

interface Given {
  /** What the pipe received before it was opened. */
  readonly heard?: readonly Uint8Array[]
  /** Awaited before each signature. */
  readonly signing?: () => Promise<void>
}

/** One end, whose pipe hands to `pass` whatever is sent. */
async function createEnd(
  pass: (bytes: Uint8Array) => void,
  { heard = [], signing = async () => {} }: Given = {},
): Promise<End> {
  const random = systemRandom()
  let receiver: PipeReceiver | null = null
  const reasons: SecureCloseReason[] = []
  const pipe: Pipe = {
    path: "memory",
    role: "undecided",
    binding: null,
    maxMessageBytes: 65_536,
    remote: "other",
    open(given) {
      receiver = given
      for (const bytes of heard) given.message("control", bytes)
    },
    send: (_lane, message) => pass(message),
    buffered: () => 0,
    close() {},
  }
  const end = { reasons, proven: false }
  const device = await memoryIdentity().load()
  const channel = createSecureChannel({
    pipe,
    keys: await deriveRoomKeys({
      roomId: new Uint8Array(16),
      epoch: 0,
      secret: new Uint8Array(32),
      servers: [],
    }),
    session: random.bytes(16),
    device: { ...device, sign: async (text) => signing().then(() => device.sign(text)) },
    clock: time.clock(),
    random,
    events: {
      proven: () => void (end.proven = true),
      closed: (reason) => void reasons.push(reason),
      held() {},
      pathChanged() {},
    },
  })
  if (receiver === null) throw new Error("the pipe was not opened")
  return Object.assign(end, { channel, receiver })
}

describe("before a remote has proved anything", () => {
  test("128 KiB of what it says is kept, however it is cut", async () => {
    for (const bytes of [0, 100, 16_384]) {
      const { receiver, reasons } = await createEnd(() => {})
      const message = new Uint8Array(bytes)
      let sent = 0
      for (; reasons.length === 0 && sent < 10_000; sent++) receiver.message("bulk", message)
      expect(reasons).toEqual(["early-flood"])
      expect(sent * bytes).toBeLessThanOrEqual(128 * 1024 + bytes)
    }
  })

  test("it has ten seconds", async () => {
    const { reasons } = await createEnd(() => {})
    await time.runFor(9_900)
    expect(reasons).toEqual([])
    await time.runFor(200)
    expect(reasons).toEqual(["handshake-timeout"])
  })
})

test("a key that does not sign ends it at once, and nothing is thrown that nobody catches", async () => {
  const greetings: Uint8Array[] = []
  await createEnd((bytes) => void greetings.push(bytes))
  await expect.poll(() => greetings.length).toBe(1)
  const { receiver, reasons } = await createEnd(() => {}, {
    signing: () => Promise.reject(new Error("the token is locked")),
  })
  receiver.message("control", greetings[0] as Uint8Array)
  await expect.poll(() => reasons).toEqual(["handshake-own-key"])
})

test("a first message that came before the pipe was opened is taken before the proof that follows it", async () => {
  const said: Uint8Array[] = []
  let sign = (): void => {}
  const signing = new Promise<void>((resolve) => (sign = resolve))
  let ada: End | null = null
  const bob = await createEnd((bytes) => {
    said.push(bytes)
    ada?.receiver.message("control", bytes)
  })
  await expect.poll(() => said.length).toBe(1)
  ada = await createEnd((bytes) => bob.receiver.message("control", bytes), {
    heard: said.slice(),
    signing: () => signing,
  })
  // Bob's proof has arrived while the keys for it are still being made.
  await expect.poll(() => said.length).toBe(2)
  await new Promise((resolve) => setTimeout(resolve, 20))
  sign()
  await expect.poll(() => [...ada.reasons, ...bob.reasons, ada.proven && bob.proven]).toEqual([true])
})

test("what a proven remote says waits until it is let in, and comes in order", async () => {
  const ends: End[] = []
  const early: [number, Uint8Array][] = []
  const passTo =
    (index: number) =>
    (bytes: Uint8Array): void => {
      const end = ends[index]
      if (end === undefined) early.push([index, bytes])
      else end.receiver.message("control", bytes)
    }
  ends.push(await createEnd(passTo(1)), await createEnd(passTo(0)))
  for (const [index, bytes] of early) ends[index]?.receiver.message("control", bytes)
  const [ada, bob] = ends as [End, End]
  await expect.poll(() => ada.proven && bob.proven).toBe(true)
  // More messages than a lively peer says during an application's slow decision.
  const count = 300
  for (let index = 0; index < count; index++) ada.channel.send("control", Uint8Array.of(index % 256, 1, 2))
  const heard: number[] = []
  bob.channel.start({ message: (_lane, [first = -1]) => void heard.push(first), drained() {}, doubted() {} })
  await expect.poll(() => heard.length).toBe(count)
  expect(heard).toEqual(Array.from({ length: count }, (_, index) => index % 256))
})
