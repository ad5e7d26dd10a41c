import { readdirSync, readFileSync } from "node:fs"

/**
 * What the kernel knows about a process: each thread, whether it runs, and where it waits. If the main thread and all
 * others wait for a futex (a lock), native code is deadlocked. Empty without `/proc`.
 */
export function describeThreads(pid: number): string {
  const folder = `/proc/${pid}/task`
  const threads = new Map<string, number>()
  try {
    for (const thread of readdirSync(folder)) {
      const name = readFileSync(`${folder}/${thread}/comm`, "utf8").trim()
      const state = /^State:\s*(.*)$/m.exec(readFileSync(`${folder}/${thread}/status`, "utf8"))?.[1] ?? "?"
      const place = readFileSync(`${folder}/${thread}/wchan`, "utf8").trim()
      const line = `${thread === String(pid) ? "main thread" : name}: ${state}${place === "0" ? "" : `, ${place}`}`
      threads.set(line, (threads.get(line) ?? 0) + 1)
    }
  } catch {
    // The process has ended meanwhile, or this is not Linux.
  }
  return [...threads].map(([line, count]) => (count > 1 ? `${line} (${count} of them)` : line)).join("\n")
}
