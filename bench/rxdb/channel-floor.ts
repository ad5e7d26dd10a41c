import { type DataChannel, PeerConnection } from "node-datachannel"

/** What a data channel between two peers on this machine carries when nothing else is done. */
export async function channelFloor(megabytes: number): Promise<{ readonly mbPerSecond: number }> {
  const offerer = new PeerConnection("offerer", { iceServers: [] })
  const answerer = new PeerConnection("answerer", { iceServers: [] })
  introduce(offerer, answerer)
  introduce(answerer, offerer)

  const bytes = Buffer.alloc(16 * 1024)
  const total = megabytes * 1_000_000
  const channel = offerer.createDataChannel("floor")
  // Kept in a variable, because the library closes a channel that is no longer referenced.
  let far: DataChannel | null = null
  const elapsedMs = await new Promise<number>((resolve) => {
    let started = 0
    let sent = 0
    let received = 0
    const fill = (): void => {
      while (sent < total && channel.bufferedAmount() < 1_000_000) {
        channel.sendMessageBinary(bytes)
        sent += bytes.length
      }
    }
    answerer.onDataChannel((incoming) => {
      far = incoming
      incoming.onMessage((message) => {
        received += typeof message === "string" ? message.length : message.byteLength
        if (received >= total) resolve(performance.now() - started)
      })
    })
    channel.setBufferedAmountLowThreshold(500_000)
    channel.onBufferedAmountLow(fill)
    channel.onOpen(() => {
      started = performance.now()
      fill()
    })
  })
  ;(far as DataChannel | null)?.close()
  offerer.close()
  answerer.close()
  return { mbPerSecond: total / 1e6 / (elapsedMs / 1000) }
}

/** Passes on what one side signals. A candidate that comes before its description would be refused. */
function introduce(from: PeerConnection, to: PeerConnection): void {
  let isDescribed = false
  const early: (readonly [candidate: string, mid: string])[] = []
  from.onLocalDescription((sdp, type) => {
    to.setRemoteDescription(sdp, type)
    isDescribed = true
    for (const [candidate, mid] of early.splice(0)) to.addRemoteCandidate(candidate, mid)
  })
  from.onLocalCandidate((candidate, mid) => {
    if (isDescribed) to.addRemoteCandidate(candidate, mid)
    else early.push([candidate, mid])
  })
}
