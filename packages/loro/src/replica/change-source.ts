import type { WriterBatch } from "../store/store-writer.ts"

/** Where a change came from, as reported to applications. */
export type ChangeOrigin = "local" | "remote" | "tab"

/** Where a delta comes from, and what else its transaction writes. */
export interface ApplySource {
  readonly origin: ChangeOrigin
  /** For reports: who sent it. */
  readonly sender: string
  /** Public key of the device that sent it through the room, 64 hex digits. */
  readonly device?: string
  /** What else the transaction that stores the delta does, such as removing its inbox entry; not done if the delta is not taken. */
  readonly batch?: WriterBatch
  /** "kept-elsewhere" when another opener of the store keeps the delta. */
  readonly store: "write" | "kept-elsewhere"
}

/** For reports. */
export function describeDevice(device: string): string {
  return `device ${device.slice(0, 8)}`
}
