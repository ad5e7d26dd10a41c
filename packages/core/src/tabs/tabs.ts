import { createState } from "../ports/state.ts"
import type { ElectionRole, RunningTransport, Transport, TransportHost } from "../ports/transport.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { createTabLocks } from "./tab-locks.ts"
import { createTabPipe } from "./tab-pipe.ts"

/** What the tabs of one room say to all of them: where `from` leads, look for who leads, or answer the one who looked. */
interface TabCall {
  readonly type: "holder" | "seek" | "found"
  readonly from: string
  /** Of "found": the tab that looked. */
  readonly to?: unknown
  /** Of "seek": whether that tab could reach other devices by itself. */
  readonly reaches?: unknown
}

/** A holder may have missed a call while it took over. */
const SEEK_EVERY_MS = 1_000

/**
 * Tabs of one browser profile share a room: one of them, the holder of a Web Lock, has the connections, and the others
 * reach the room through it. When the holder closes or crashes, the browser passes the lock on.
 */
export function tabs(): Transport {
  return {
    name: "tabs",
    elects: true,
    start(host) {
      const locks = (globalThis.navigator as Partial<Navigator> | undefined)?.locks
      if (locks === undefined || typeof BroadcastChannel === "undefined") return runAlone(host)
      return run(host, locks)
    },
  }
}

function runAlone(host: TransportHost): RunningTransport {
  host.report({
    type: "warning",
    code: "no-tabs",
    detail: "Without Web Locks and BroadcastChannel every tab connects by itself.",
  })
  return {
    reconnect() {},
    stop: () => Promise.resolve(),
    election: createState<ElectionRole>("holder"),
  }
}

function run(host: TransportHost, manager: LockManager): RunningTransport {
  const { clock } = host
  const base = `dunlin/${host.credentials.roomTagHex}`
  const self = bytesToHex(host.peerId)
  const locks = createTabLocks(manager)
  const square = new BroadcastChannel(base)
  const election = createState<ElectionRole>("undecided")
  /** Functions that end the channel to another tab, by tab id. */
  const endsByTab = new Map<string, () => void>()
  let cancelSeeking = (): void => {}
  let isStopped = false

  const call = (message: TabCall): void => {
    if (!isStopped) square.postMessage(message)
  }
  const lifeOf = (tab: string): string => `${base}/tab/${tab}`

  function seek(): void {
    cancelSeeking()
    if (election.get() !== "follower" || endsByTab.size > 0) return
    call({ type: "seek", from: self, reaches: host.reaches })
    seekLater()
  }

  function seekLater(): void {
    cancelSeeking()
    if (!isStopped) cancelSeeking = clock.after(SEEK_EVERY_MS, seek)
  }

  /** The holder opens the channel first, then says so; the follower's first message shows that both are there. */
  function link(holder: string, follower: string): void {
    const other = self === holder ? follower : holder
    if (endsByTab.has(other)) return
    const channel = new BroadcastChannel(`${base}/${holder}/${follower}`)
    const { pipe, lost } = createTabPipe({
      channel,
      remote: other.slice(0, 8),
      clock,
      closed() {
        unwatch()
        endsByTab.delete(other)
        seekLater()
      },
    })
    const unwatch = locks.watch(lifeOf(other), lost)
    endsByTab.set(other, pipe.close)
    if (self === follower) {
      channel.postMessage(READY)
      return host.connected(pipe)
    }
    const onData = channel.onmessage
    channel.onmessage = (event: MessageEvent<unknown>) => {
      if (event.data !== READY) return
      channel.onmessage = onData
      host.connected(pipe)
    }
    call({ type: "found", from: self, to: follower })
  }

  square.onmessage = ({ data }: MessageEvent<unknown>) => {
    const message = readCall(data)
    if (message === null || isStopped) return
    switch (message.type) {
      case "holder":
        return seek()
      case "seek":
        if (election.get() !== "holder") return
        return message.reaches && !host.reaches ? resign() : link(self, message.from)
      case "found":
        if (message.to === self && election.get() === "follower") link(message.from, self)
    }
  }

  function endAll(): void {
    for (const end of [...endsByTab.values()]) end()
  }

  /** A worker without WebRTC, say, leaves the others to a page that has it. */
  function resign(): void {
    election.set("follower")
    endAll()
    locks.resign()
  }

  async function elect(): Promise<void> {
    try {
      // By this lock others learn when we end, so we must hold it before they can learn of us.
      await locks.hold(lifeOf(self))
      while (!isStopped)
        await locks.contend(`${base}/holder`, (isHolder) => {
          election.set(isHolder ? "holder" : "follower")
          if (isHolder) call({ type: "holder", from: self })
          else seek()
        })
    } catch (error) {
      if (isStopped) return
      host.report({ type: "warning", code: "no-tabs", detail: `Web Locks failed: ${String(error)}` })
      election.set("holder")
    }
  }
  void elect()

  return {
    election,
    reconnect: seek,
    async stop() {
      isStopped = true
      cancelSeeking()
      square.close()
      endAll()
      locks.release()
    },
  }
}

const READY = "ready"

/** Types that nobody knows are passed over. */
function readCall(data: unknown): TabCall | null {
  const call = data as Partial<TabCall> | null
  return typeof call?.from === "string" ? (call as TabCall) : null
}
