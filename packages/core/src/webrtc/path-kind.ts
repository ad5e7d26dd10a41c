/** Tells whether a connection goes through a TURN server. */
export interface PathProbe {
  /** A candidate of the other side, as it was signaled. */
  remote(candidate: string): void
  /** Null when the statistics do not tell. */
  isRelayed(stats: Iterable<unknown>): boolean | null
}

type Entry = Readonly<Record<string, unknown>>

/**
 * A check from the other side's TURN server may come before the candidate that announces it: ICE then keeps the address as
 * "peer reflexive" (RFC 8445, section 7.3.1.3). What was signaled as a relay's address is one, whatever the pair says.
 */
export function createPathProbe(): PathProbe {
  const relays = new Set<string>()
  return {
    remote(candidate) {
      // candidate:<foundation> <component> <transport> <priority> <address> <port> typ <type>: RFC 8839, section 5.1.
      const [, , , , address = "", port = "", , type] = candidate.trim().split(/\s+/)
      if (type === "relay") relays.add(addressKey(address, port))
    },
    isRelayed(stats) {
      const entries = [...stats] as readonly Entry[]
      const pair = selectedPair(entries)
      if (pair === undefined) return null
      const side = (id: unknown): Entry | undefined => entries.find((entry) => entry["id"] === id)
      const local = side(pair["localCandidateId"])
      const remote = side(pair["remoteCandidateId"])
      return (
        local?.["candidateType"] === "relay" ||
        remote?.["candidateType"] === "relay" ||
        relays.has(addressKey(remote?.["address"] ?? remote?.["ip"], remote?.["port"]))
      )
    },
  }
}

/** Firefox marks the pair itself, others name it in the transport; where neither is there, it is the nominated one. */
function selectedPair(entries: readonly Entry[]): Entry | undefined {
  const pairs = entries.filter((entry) => entry["type"] === "candidate-pair")
  const named = entries.find((entry) => entry["type"] === "transport")?.["selectedCandidatePairId"]
  return (
    pairs.find((pair) => pair["selected"] === true || (named !== undefined && pair["id"] === named)) ??
    pairs.find((pair) => pair["nominated"] === true && pair["state"] === "succeeded")
  )
}

function addressKey(address: unknown, port: unknown): string {
  return `${String(address).toLowerCase()} ${String(port)}`
}
