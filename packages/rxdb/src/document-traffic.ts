import type { WithDeleted } from "rxdb"
import type { DocumentData } from "./document-shape.ts"

/** Documents on their way from or to a peer. */
export interface DocumentTraffic<RxDocType = DocumentData> {
  readonly direction: "received" | "sent"
  /** Session id; null for what goes to every connected peer. */
  readonly peer: string | null
  readonly documents: readonly WithDeleted<RxDocType>[]
}

/** Is told which documents travel; costs nothing while nobody listens. */
export interface TrafficSink {
  readonly observed: boolean
  next(traffic: DocumentTraffic): void
}
