import type { LinkInput, SecureLink, SimulatedConnection, SyncEngine } from "@dunlin/core/testing"

/** Gives an engine one end of a connection, as a link to a peer that has proved its identity. */
export function linkEngine(
  engine: SyncEngine,
  connection: SimulatedConnection,
  end: 0 | 1,
  other: Pick<SecureLink, "session" | "device"> & Partial<Pick<SecureLink, "role">>,
  closed: () => void = () => {},
): void {
  const pipe = connection.ends[end]
  const input: LinkInput = engine.addLink({
    role: "writer",
    ...other,
    maxMessageBytes: pipe.maxMessageBytes,
    send(lane, message) {
      if (connection.isOpen) pipe.send(lane, message)
    },
    buffered: (lane) => pipe.buffered(lane),
    close: () => pipe.close(),
  })
  pipe.open({
    message: (lane, bytes) => input.message(lane, bytes),
    drained: (lane) => input.drained(lane),
    closed(reason) {
      closed()
      input.closed(reason)
    },
  })
}
