import { createHmac } from "node:crypto"
import type { Random } from "@dunlin/core"
import { type Logger, pino } from "pino"
import type { LogLevel } from "./host-settings.ts"

export interface HostLog {
  readonly logger: Logger
  /** 8 hex digits that stand for an address during one run of the host only. */
  alias(value: string): string
}

export function createHostLog(level: LogLevel, random: Random): HostLog {
  const salt = random.bytes(16)
  return {
    logger: pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }),
    alias: (value) => createHmac("sha256", salt).update(value).digest("hex").slice(0, 8),
  }
}

/** The kind of error and where it arose, without its message: that might repeat what a client has sent. */
export function placeOfFault(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  const lines = error.stack?.split("\n") ?? []
  return [error.name, ...lines.filter((line) => /^\s+at /.test(line))].join("\n")
}
