import {
  createState,
  type Pipe,
  type RunningTransport,
  type State,
  type Transport,
  type TransportHost,
} from "@dunlin/core"
import { smallStore } from "../device/small-store.ts"

/** A switch in the line to other devices. While it is cut, everything goes on without them. */
export interface Cable {
  readonly cut: State<boolean>
  setCut(cut: boolean): void
  /** The transport as seen through the cable. */
  through(transport: Transport): Transport
  close(): void
}

/** All tabs of a browser share one line, and so its switch, which keeps its position over a reload. */
export function createCable(name: string): Cable {
  const cut = createState(smallStore.read(name) === "cut")
  const endWatch = smallStore.watch(name, () => cut.set(smallStore.read(name) === "cut"))
  return {
    cut,
    setCut(next) {
      smallStore.write(name, next ? "cut" : "whole")
      cut.set(next)
    },
    through: (transport) => ({ ...transport, start: (host) => startThrough(transport, host, cut) }),
    close: endWatch,
  }
}

function startThrough(transport: Transport, host: TransportHost, cut: State<boolean>): RunningTransport {
  const pipes = new Set<Pipe>()
  let running: RunningTransport | null = null
  let stopping: Promise<void> = Promise.resolve()
  let stopped = false

  const guarded: TransportHost = {
    ...host,
    wantsLinks: () => !cut.get() && host.wantsLinks(),
    connected(pipe) {
      if (cut.get()) return pipe.close()
      pipes.add(pipe)
      host.connected(watchPipe(pipe, () => pipes.delete(pipe)))
    },
  }

  function start(): void {
    if (!stopped && !cut.get() && running === null) running = transport.start(guarded)
  }

  function stop(): void {
    const ending = running
    running = null
    for (const pipe of pipes) pipe.close()
    pipes.clear()
    if (ending) stopping = stopping.then(() => ending.stop())
  }

  const end = cut.subscribe((isCut) => {
    if (isCut) return stop()
    // The old sockets must be gone before new ones open, or this device would meet itself.
    void stopping.then(start)
  })
  start()
  return {
    reconnect: () => running?.reconnect(),
    stop() {
      stopped = true
      end()
      stop()
      return stopping
    },
  }
}

function watchPipe(pipe: Pipe, closed: () => void): Pipe {
  return {
    path: pipe.path,
    role: pipe.role,
    binding: pipe.binding,
    maxMessageBytes: pipe.maxMessageBytes,
    remote: pipe.remote,
    send: (lane, message) => pipe.send(lane, message),
    buffered: (lane) => pipe.buffered(lane),
    close: () => pipe.close(),
    open: (receiver) =>
      pipe.open({
        message: (lane, bytes) => receiver.message(lane, bytes),
        drained: (lane) => receiver.drained(lane),
        closed(reason) {
          closed()
          receiver.closed(reason)
        },
        pathChanged: (path) => receiver.pathChanged?.(path),
      }),
  }
}
