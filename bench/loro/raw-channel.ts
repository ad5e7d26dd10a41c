/** The part of a data channel that browsers and node-datachannel share. */
export interface RawChannel {
  binaryType: string
  readonly readyState: string
  readonly bufferedAmount: number
  send(bytes: Uint8Array<ArrayBuffer>): void
  onmessage: ((event: { data: ArrayBuffer }) => void) | null
  onopen: (() => void) | null
}

interface RawConnection {
  readonly localDescription: { readonly type: string; readonly sdp: string } | null
  readonly iceGatheringState: string
  createDataChannel(label: string): RawChannel
  createOffer(): Promise<unknown>
  createAnswer(): Promise<unknown>
  setLocalDescription(description: never): Promise<void>
  setRemoteDescription(description: never): Promise<void>
  addIceCandidate(candidate: never): Promise<void>
  ondatachannel: ((event: { channel: RawChannel }) => void) | null
  onicegatheringstatechange: (() => void) | null
}

export interface RawPeer {
  offer(): Promise<string>
  answer(offer: string): Promise<string>
  accept(answer: string): Promise<void>
  /** Call it once both sides have the other's description. Resolves when the channel is open. */
  channel(): Promise<RawChannel>
}

const OPENING_MS = 20_000

/** One end of a bare data channel, the floor for everything that uses one. The test carries the descriptions. */
export function createRawPeer(connect: () => unknown): RawPeer {
  const connection = connect() as RawConnection
  let resolveChannel: (channel: RawChannel) => void = () => undefined
  const opened = new Promise<RawChannel>((resolve) => (resolveChannel = resolve))
  const use = (channel: RawChannel): void => {
    channel.binaryType = "arraybuffer"
    if (channel.readyState === "open") resolveChannel(channel)
    else channel.onopen = () => resolveChannel(channel)
  }
  connection.ondatachannel = ({ channel }) => use(channel)

  const described = async (): Promise<string> => {
    for (let waited = 0; connection.iceGatheringState !== "complete" && waited < 5_000; waited += 10) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    const { type, sdp } = connection.localDescription ?? { type: "", sdp: "" }
    return JSON.stringify({ type, sdp })
  }

  /**
   * Candidates wait until both sides have both descriptions. A side that is checked before it has the other's
   * description may give up the connection, and then throws at the first candidate.
   */
  let candidates: readonly string[] = []
  const apply = async (description: string): Promise<void> => {
    const { type, sdp } = JSON.parse(description) as { readonly type: string; readonly sdp: string }
    const lines = sdp.split("\r\n")
    candidates = lines.filter((line) => line.startsWith("a=candidate"))
    const rest = lines.filter((line) => !line.startsWith("a=candidate") && !line.startsWith("a=end-of"))
    await connection.setRemoteDescription({ type, sdp: rest.join("\r\n") } as never)
  }

  return {
    async offer() {
      use(connection.createDataChannel("raw"))
      await connection.setLocalDescription((await connection.createOffer()) as never)
      return described()
    },
    async answer(offer) {
      await apply(offer)
      await connection.setLocalDescription((await connection.createAnswer()) as never)
      return described()
    },
    accept: apply,
    async channel() {
      for (const line of candidates) {
        await connection.addIceCandidate({ candidate: line.slice(2), sdpMid: "0", sdpMLineIndex: 0 } as never)
      }
      candidates = []
      return Promise.race([opened, overdue()])
    },
  }
}

async function overdue(): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, OPENING_MS))
  throw new Error(`the bare channel did not open in ${OPENING_MS / 1_000} s`)
}

/** Fractional wall-clock milliseconds, comparable between the processes of one machine. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now()
}
