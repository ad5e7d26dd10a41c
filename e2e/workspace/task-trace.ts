import type { CDPSession } from "playwright-core"
import type { Person } from "./workspace-page.ts"

/** One task of a page's main thread: how long it kept the page busy, and how much of that was its own computing. */
export interface TracedTask {
  readonly wallMs: number
  /** Less than `wallMs` on a busy machine, where a task also waits for its turn on the processor. */
  readonly cpuMs: number
}

export interface TaskTrace {
  /** Ends the trace and returns the tasks that took at least `fromMs` by the clock. */
  stop(fromMs: number): Promise<readonly TracedTask[]>
}

interface TraceEvent {
  readonly name: string
  readonly ph: string
  readonly pid: number
  readonly tid: number
  /** Both in microseconds; `tdur` is by the thread's own clock. */
  readonly dur?: number
  readonly tdur?: number
  readonly args?: { readonly name?: string }
}

/** Makes the browser trace every task of the page from now on. */
export async function traceTasks({ page, context }: Person): Promise<TaskTrace> {
  const session = await context.newCDPSession(page)
  const events: TraceEvent[] = []
  session.on("Tracing.dataCollected", ({ value }) => events.push(...(value as unknown as TraceEvent[])))
  const traceConfig = { includedCategories: ["toplevel", "__metadata"], excludedCategories: ["*"] }
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig })
  return {
    async stop(fromMs) {
      await endTrace(session)
      await session.detach()
      const main = new Set(events.filter(isMainThread).map(threadOf))
      return events
        .filter((event) => event.ph === "X" && event.name.endsWith("RunTask") && main.has(threadOf(event)))
        .map(({ dur = 0, tdur = 0 }) => ({ wallMs: dur / 1_000, cpuMs: tdur / 1_000 }))
        .filter(({ wallMs }) => wallMs >= fromMs)
    },
  }
}

function endTrace(session: CDPSession): Promise<unknown> {
  return Promise.all([
    new Promise((resolve) => session.once("Tracing.tracingComplete", resolve)),
    session.send("Tracing.end"),
  ])
}

function isMainThread({ name, args }: TraceEvent): boolean {
  return name === "thread_name" && args?.name === "CrRendererMain"
}

function threadOf({ pid, tid }: TraceEvent): string {
  return `${pid} ${tid}`
}
