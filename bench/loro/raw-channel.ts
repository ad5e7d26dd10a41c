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
  /** Resolves when the channel is open. */
  channel(): Promise<RawChannel>
}

/** One end of a bare data channel: the floor of whatever goes over one. The test carries the descriptions. */
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

  /** node-datachannel takes candidates only once both descriptions stand: they are added by what this resolves to. */
  const apply = async (description: string): Promise<() => Promise<void>> => {
    const { type, sdp } = JSON.parse(description) as { readonly type: string; readonly sdp: string }
    const lines = sdp.split("\r\n")
    const isCandidate = (line: string): boolean =>
      line.startsWith("a=candidate") || line.startsWith("a=end-of")
    await connection.setRemoteDescription({
      type,
      sdp: lines.filter((line) => !isCandidate(line)).join("\r\n"),
    } as never)
    return async () => {
      for (const line of lines) {
        if (!line.startsWith("a=candidate")) continue
        await connection.addIceCandidate({ candidate: line.slice(2), sdpMid: "0", sdpMLineIndex: 0 } as never)
      }
    }
  }

  return {
    async offer() {
      use(connection.createDataChannel("raw"))
      await connection.setLocalDescription((await connection.createOffer()) as never)
      return described()
    },
    async answer(offer) {
      const addCandidates = await apply(offer)
      await connection.setLocalDescription((await connection.createAnswer()) as never)
      await addCandidates()
      return described()
    },
    async accept(answer) {
      const addCandidates = await apply(answer)
      await addCandidates()
    },
    channel: () => opened,
  }
}

/** Wall-clock milliseconds with fractions, comparable between the processes of one machine. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now()
}
