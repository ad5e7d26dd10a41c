// What the harness's own tests run in a page.

export function add(left: number, right: number): number {
  return left + right
}

export async function fail(message: string): Promise<never> {
  console.log("about to fail")
  throw new Error(message)
}

export function facts(): { readonly secure: boolean; readonly origin: string } {
  return { secure: globalThis.isSecureContext, origin: globalThis.location.origin }
}

/** Shows that one profile does not see what another stored. */
export function remember(value: string): string | null {
  const before = localStorage.getItem("probe")
  localStorage.setItem("probe", value)
  return before
}

/** Connects two peers within this page, to show that WebRTC works here at all. */
export async function loopback(): Promise<string> {
  const offerer = new RTCPeerConnection()
  const answerer = new RTCPeerConnection()
  try {
    offerer.onicecandidate = ({ candidate }) => void answerer.addIceCandidate(candidate ?? undefined)
    answerer.onicecandidate = ({ candidate }) => void offerer.addIceCandidate(candidate ?? undefined)
    const channel = offerer.createDataChannel("probe")
    const received = new Promise<string>((resolve) => {
      answerer.ondatachannel = (event) => {
        event.channel.onmessage = ({ data }) => resolve(String(data))
      }
    })
    channel.onopen = () => channel.send("through")
    await offerer.setLocalDescription()
    await answerer.setRemoteDescription(offerer.localDescription!)
    await answerer.setLocalDescription()
    await offerer.setRemoteDescription(answerer.localDescription!)
    return await received
  } finally {
    offerer.close()
    answerer.close()
  }
}
