import { browserIdentity, memoryIdentity, openRoom, RoomError, type Room, type Transport } from "@dunlin/core"
import { tabs } from "@dunlin/core/tabs"
import { webrtc } from "@dunlin/core/webrtc"
import { deviceName, storageName } from "../device/namespace.ts"
import { errorMessage } from "../ui/error-message.ts"
import type { Cable } from "./cable.ts"
import { signalingUrl } from "./signaling-url.ts"

export interface ConnectOptions {
  readonly invite: string
  readonly cable: Cable
  readonly durable: boolean
}

export function connect({ invite, cable, durable }: ConnectOptions): Promise<Room> {
  return openRoom({
    invite,
    transports: transportsThrough(cable),
    identity: durable ? browserIdentity(storageName("identity")) : memoryIdentity(),
  })
}

/** Why there is no room, for the person in front of it. */
export function reasonForNoRoom(error: unknown): string {
  const code = error instanceof RoomError ? error.code : null
  if (code === "insecure-context") return "This address is not secure (neither https nor localhost), so this device cannot sync."
  if (code === "missing-crypto") return "This browser lacks the cryptography that sync needs: update it, or use another one."
  if (code === "invite-too-new") return "This workspace was made by a newer version of the app: reload the page to update."
  return `Sync did not start: ${errorMessage(error)}`
} // prettier-ignore

/** Tabs of one browser share storage and one set of connections. The demo's two devices do not count as such tabs. */
function transportsThrough(cable: Cable): readonly Transport[] {
  const network = cable.through(webrtc({ signaling: signalingUrl() }))
  return deviceName === "" ? [tabs(), network] : [network]
}
