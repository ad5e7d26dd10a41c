import { type Host, startHost } from "@dunlin/host"
import { type DescriptionType, PeerConnection } from "node-datachannel"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { connectClient } from "../../packages/host/test/signaling-client.ts"
import { startTurnServer, type TurnServer, turnServerProblem } from "../browser/harness/turn-server.ts"

const problem = turnServerProblem()
if (problem !== null) console.log(`skipped: ${problem} (apt install coturn)`)

describe.skipIf(problem !== null)("TURN credentials", () => {
  let turn: TurnServer
  const hosts: Host[] = []

  beforeAll(async () => {
    turn = await startTurnServer()
  })
  afterAll(async () => {
    await Promise.all(hosts.map((host) => host.close()))
    await turn.close()
  })

  const start = async (turnSecret: string, turnTtlSeconds = 3600): Promise<Host> => {
    const host = await startHost({
      port: 0,
      host: "127.0.0.1",
      operationsPort: "off",
      turnUrls: [turn.turnUrl],
      turnSecret,
      turnTtlSeconds,
    })
    hosts.push(host)
    return host
  }

  test("given on joining carry data through a real coturn, relay only", async () => {
    const host = await start(turn.secret)
    const credentials = await Promise.all([credentialsFrom(host), credentialsFrom(host)])
    // Both ask from one address.
    expect(credentials[0].username).toBe(credentials[1].username)
    expect(await relay(turn, credentials)).toBe("across the relay")
  })

  test("asked for later work as well", async () => {
    const host = await start(turn.secret)
    const client = await connectClient(host.url)
    await client.joined()
    client.send({ type: "ice-request" })
    const { ice } = await client.next("ice")
    const [server] = ice.servers
    if (server === undefined) throw new Error("no server")
    expect(await relay(turn, [server, server])).toBe("across the relay")
    client.socket.close()
  })

  test("are refreshed before they expire", async () => {
    const host = await start(turn.secret, 10)
    const client = await connectClient(host.url)
    const { ice } = await client.joined()
    expect(ice.expiresInMs).toBe(10_000)
    // When a quarter of their lifetime is left.
    await expect.poll(() => client.unread.some(({ type }) => type === "ice"), { timeout: 60_000 }).toBe(true)
    const fresh = await client.next("ice")
    expect(fresh.ice.servers[0]?.username).not.toBe(ice.servers[0]?.username)
    client.socket.close()
  })

  test("signed with another secret are refused by coturn", async () => {
    const host = await start("not the secret")
    const credentials = await Promise.all([credentialsFrom(host), credentialsFrom(host)])
    expect(await relay(turn, credentials, 4000)).toBe("no connection")
    const said = turn.output().filter((line) => line.includes(credentials[0].username))
    expect(said.join("\n")).toMatch(/Cannot find credentials|check_stun_auth/)
  })
})

interface TurnCredentials {
  readonly username: string
  readonly credential: string
}

async function credentialsFrom(host: Host): Promise<TurnCredentials> {
  const client = await connectClient(host.url)
  const { ice } = await client.joined()
  client.socket.close()
  const [server] = ice.servers
  if (server === undefined) throw new Error("the host gave no TURN server")
  return server
}

/** Connects two peers that may use only the relay, and sends a message across. */
async function relay(
  turn: TurnServer,
  credentials: readonly [TurnCredentials, TurnCredentials],
  patienceMs = 20_000,
): Promise<string> {
  const port = Number(/:(\d+)$/.exec(turn.turnUrl)?.[1])
  const [offerer, answerer] = credentials.map(
    ({ username, credential }, index) =>
      new PeerConnection(`peer ${index}`, {
        iceServers: [{ hostname: "127.0.0.1", port, username, password: credential, relayType: "TurnUdp" }],
        iceTransportPolicy: "relay",
      }),
  )
  if (offerer === undefined || answerer === undefined) throw new Error("two peers are needed")
  const link = (from: PeerConnection, to: PeerConnection): void => {
    from.onLocalDescription((sdp, type) => to.setRemoteDescription(sdp, type as DescriptionType))
    from.onLocalCandidate((candidate, mid) => {
      expect(candidate).toContain("typ relay")
      to.addRemoteCandidate(candidate, mid)
    })
  }
  link(offerer, answerer)
  link(answerer, offerer)
  let timer: NodeJS.Timeout | undefined
  try {
    return await new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve("no connection"), patienceMs)
      answerer.onDataChannel((channel) =>
        channel.onMessage((message) => resolve(typeof message === "string" ? message : "bytes")),
      )
      const channel = offerer.createDataChannel("relay")
      channel.onOpen(() => channel.sendMessage("across the relay"))
    })
  } finally {
    clearTimeout(timer)
    offerer.close()
    answerer.close()
  }
}
