import { Counter, Gauge, Registry } from "prom-client"
import type { HostCounters } from "./host-counters.ts"
import type { ProcessLoad } from "./process-load.ts"

export interface MetricsSource {
  readonly counters: HostCounters
  readonly load: ProcessLoad
  readonly sockets: () => number
  readonly topics: () => number
  readonly members: () => number
  readonly bufferedBytes: () => number
  /** 1 or 0, or null without a cluster. */
  readonly clusterUp: () => number | null
}

/**
 * A registry of the host's own; counts are read when they are asked for. No label holds a topic, a peer or an
 * address: they would name people, and grow without bound.
 */
export function createHostMetrics(source: MetricsSource): Registry {
  const registry = new Registry()
  const { counters, load } = source

  const gauge = (name: string, help: string, read: () => number): void => {
    const metric: Gauge = new Gauge({
      name: `dunlin_${name}`,
      help,
      registers: [registry],
      collect: () => metric.set(read()),
    })
  }
  const counter = (name: string, help: string, read: () => number): void => {
    const metric: Counter = new Counter({
      name: `dunlin_${name}_total`,
      help,
      registers: [registry],
      collect: () => {
        metric.reset()
        metric.inc(read())
      },
    })
  }
  const counterBy = (
    name: string,
    help: string,
    label: string,
    counts: ReadonlyMap<string, number>,
  ): void => {
    const metric: Counter = new Counter({
      name: `dunlin_${name}_total`,
      help,
      labelNames: [label],
      registers: [registry],
      collect: () => {
        metric.reset()
        for (const [key, value] of counts) metric.inc({ [label]: key }, value)
      },
    })
  }

  gauge("sockets", "Open sockets.", source.sockets)
  gauge("topics", "Topics with a member on this host.", source.topics)
  gauge("members", "Memberships of this host, those in their grace included.", source.members)
  gauge("buffered_bytes", "Bytes that sockets have not read yet.", source.bufferedBytes)
  counterBy("joins", "Joins by result.", "result", counters.joins)
  counter("messages_in", "Frames received.", () => counters.messagesIn)
  counter("messages_out", "Frames sent.", () => counters.messagesOut)
  counter("bytes_in", "Bytes of frames received.", () => counters.bytesIn)
  counter("bytes_out", "Bytes of frames sent.", () => counters.bytesOut)
  counter("forwards", "Signals passed on.", () => counters.forwards)
  counterBy(
    "drops",
    "Signals and messages between hosts that were dropped, by reason.",
    "reason",
    counters.drops,
  )
  counterBy("rate_limited", "What limits refused, by scope.", "scope", counters.rateLimited)
  counter("slow_closed", "Sockets closed because they do not read.", () => counters.slowClosed)
  counter("auth_failures", "Joins refused by a token or a rule.", () => counters.authFailures)
  counter("address_blocks", "Addresses blocked.", () => counters.blocks)
  counter(
    "handler_errors",
    "Faults of the host itself, each contained to one socket, one topic or one message between hosts.",
    () => counters.handlerErrors,
  )
  gauge("loop_lag_p99_seconds", "Event loop lag, 99th percentile of 5 s.", () => load.lagMs() / 1000)
  gauge("heap_used_ratio", "Heap in use, of its limit.", () => load.heapPercent() / 100)
  gauge("resident_memory_bytes", "Resident memory.", () => process.memoryUsage.rss())
  counter("cpu_seconds", "Processor time, user and system.", () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  if (source.clusterUp() !== null) {
    gauge("cluster_up", "1 while the cluster's messaging is connected.", () => source.clusterUp() ?? 0)
  }
  return registry
}
