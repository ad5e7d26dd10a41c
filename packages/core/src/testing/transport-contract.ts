import { deriveRoomKeys } from "../crypto/key-schedule.ts"
import { systemClock } from "../ports/clock.ts"
import { systemRandom } from "../ports/random.ts"
import { createState } from "../ports/state.ts"
import {
  type Lane,
  type Pipe,
  type PipeCloseReason,
  type RunningTransport,
  type Transport,
  TransportError,
  type TransportHost,
} from "../ports/transport.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { sameBytes } from "../protocol/same-bytes.ts"
import { type ContractCase, demand, eventually } from "./contract-case.ts"

/** How the contract uses your transport. */
export interface TransportSubject {
  /** Two transports that reach each other, and nobody else. */
  createPair(): Promise<readonly [Transport, Transport]> | readonly [Transport, Transport]
  /** Ends what `createPair` made, after `stop`. */
  end?(): Promise<void>
}

/** One end of the pipe between the two, and all that it heard. */
interface End {
  readonly pipe: Pipe
  readonly heard: (readonly [Lane, Uint8Array])[]
  readonly closings: PipeCloseReason[]
  readonly running: RunningTransport
}

const BURST = 200
/** What `Pipe.maxMessageBytes` promises: the longest frame, and its seal where the room has to encrypt. */
const LEAST_MESSAGE_BYTES = 16_384
const RECORD_BYTES = 16

/** The rules that every transport keeps, whatever carries the bytes. */
export function transportContract(subject: TransportSubject): readonly ContractCase[] {
  const rule = (name: string, act: (one: End, other: End) => Promise<void>): ContractCase => ({
    name,
    async run() {
      const [one, other] = await openPair(subject)
      try {
        await act(one, other)
      } finally {
        await Promise.all([one.running.stop(), other.running.stop()])
        await subject.end?.()
      }
    },
  })

  return [
    rule("both ends get a pipe, and agree on who offered", async (one, other) => {
      const roles = [one.pipe.role, other.pipe.role].toSorted().join(" and ")
      demand(["answerer and offerer", "undecided and undecided"].includes(roles), `the roles are ${roles}`)
      const { binding } = one.pipe
      demand(
        (binding === null) === (other.pipe.binding === null),
        "both are bound to certificates, or neither",
      )
      if (binding !== null && other.pipe.binding !== null) {
        demand(sameBytes(binding.local, other.pipe.binding.remote), "each sees the other's certificate")
        demand(sameBytes(binding.remote, other.pipe.binding.local), "each sees the other's certificate")
      }
    }),
    rule("what is sent before the receiver opens is delivered first", async (one, other) => {
      one.pipe.send("control", Uint8Array.of(1))
      one.pipe.send("control", Uint8Array.of(2))
      await new Promise((resolve) => setTimeout(resolve, 100))
      listen(other)
      one.pipe.send("control", Uint8Array.of(3))
      await eventually(() => other.heard.length === 3, "three messages arrive")
      demand(
        other.heard.map(([, bytes]) => bytes[0]).join() === "1,2,3",
        "in the order in which they were sent",
      )
    }),
    rule("each lane keeps its order and its messages whole", async (one, other) => {
      listen(other)
      for (let index = 0; index < BURST; index++) {
        one.pipe.send(index % 3 === 0 ? "bulk" : "control", messageOf(index))
      }
      await eventually(() => other.heard.length === BURST, `${BURST} messages arrive`)
      for (const lane of ["control", "bulk"] as const) {
        const indices = other.heard.filter(([on]) => on === lane).map(([, bytes]) => indexOf(bytes))
        demand(indices.join() === indices.toSorted((a, b) => a - b).join(), `${lane} keeps its order`)
      }
      demand(
        other.heard.every(([, bytes]) => sameBytes(bytes, messageOf(indexOf(bytes)))),
        "messages arrive as they were sent",
      )
    }),
    rule("the caller may use its bytes again", async (one, other) => {
      listen(other)
      const bytes = Uint8Array.of(1, 2, 3)
      one.pipe.send("control", bytes)
      bytes.fill(0)
      await eventually(() => other.heard.length === 1, "the message arrives")
      demand(
        sameBytes(other.heard[0]?.[1] ?? new Uint8Array(), Uint8Array.of(1, 2, 3)),
        "as it was when it was sent",
      )
    }),
    rule("the longest message passes, a longer one is refused", async (one, other) => {
      listen(other)
      const { maxMessageBytes, binding } = one.pipe
      const leastBytes = LEAST_MESSAGE_BYTES + (binding === null ? RECORD_BYTES : 0)
      demand(
        maxMessageBytes >= leastBytes,
        `maxMessageBytes is ${maxMessageBytes}, but at least ${leastBytes}`,
      )
      one.pipe.send("bulk", new Uint8Array(maxMessageBytes))
      await eventually(() => other.heard.length === 1, `a message of ${maxMessageBytes} bytes arrives`)
      const code = refusalOf(() => one.pipe.send("bulk", new Uint8Array(maxMessageBytes + 1)))
      demand(code === "message-too-large", `one byte more is message-too-large, not ${code}`)
    }),
    rule("closing is told once to either side, and nothing is sent after", async (one, other) => {
      listen(one)
      listen(other)
      one.pipe.close()
      one.pipe.close()
      await eventually(() => other.closings.length > 0, "the other side hears of it")
      await new Promise((resolve) => setTimeout(resolve, 50))
      demand(one.closings.join() === "local", `here it is "local", once: ${one.closings.join()}`)
      demand(other.closings.length === 1, `there it is told once: ${other.closings.join()}`)
      const code = refusalOf(() => one.pipe.send("control", Uint8Array.of(1)))
      demand(code === "pipe-closed", `sending is pipe-closed, not ${code}`)
    }),
    rule("it can be told to try again and to stop at any time, twice", async (one, other) => {
      listen(one)
      listen(other)
      one.running.reconnect()
      await Promise.all([one.running.stop(), one.running.stop()])
      one.running.reconnect()
    }),
  ]
}

async function openPair(subject: TransportSubject): Promise<readonly [End, End]> {
  const transports = await subject.createPair()
  const secret = systemRandom().bytes(32)
  const roomId = systemRandom().bytes(16)
  const keys = await deriveRoomKeys({ roomId, epoch: 0, secret, servers: [] })
  const open = (transport: Transport): { readonly running: RunningTransport; readonly pipes: Pipe[] } => {
    const pipes: Pipe[] = []
    const host: TransportHost = {
      clock: systemClock(),
      random: systemRandom(),
      peerId: systemRandom().bytes(16),
      credentials: {
        topic: keys.topic,
        epoch: keys.epoch,
        signalKey: keys.signalKey,
        roomTagHex: bytesToHex(keys.roomTag.subarray(0, 16)),
        servers: [],
      },
      isReader: createState(false),
      reaches: true,
      linkLimit: 12,
      connected: (pipe) => void pipes.push(pipe),
      wantsLinks: () => true,
      report() {},
    }
    return { running: transport.start(host), pipes }
  }
  const [one, other] = [open(transports[0]), open(transports[1])]
  await eventually(() => one.pipes.length > 0 && other.pipes.length > 0, "both ends get a pipe")
  return [endOf(one.pipes[0], one.running), endOf(other.pipes[0], other.running)]
}

function endOf(pipe: Pipe | undefined, running: RunningTransport): End {
  demand(pipe !== undefined, "there is a pipe")
  return { pipe, running, heard: [], closings: [] }
}

function listen({ pipe, heard, closings }: End): void {
  pipe.open({
    message: (lane, bytes) => void heard.push([lane, bytes.slice()]),
    drained() {},
    closed: (reason) => void closings.push(reason),
  })
}

function messageOf(index: number): Uint8Array {
  const bytes = new Uint8Array(4 + ((index * 37) % 5_000)).fill(index)
  new DataView(bytes.buffer).setUint32(0, index)
  return bytes
}

function indexOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
}

function refusalOf(act: () => void): string {
  try {
    act()
  } catch (error) {
    return error instanceof TransportError ? error.code : String(error)
  }
  return "nothing"
}
