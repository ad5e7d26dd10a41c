/** Publish and subscribe between the hosts of a cluster: at most once, in order from one host to another. */
export interface ClusterLink {
  /** False when the message cannot be sent now; it is not kept for later. */
  publish(subject: string, bytes: Uint8Array): boolean
  /** Returns a function that ends the subscription. */
  subscribe(subject: string, receive: (bytes: Uint8Array) => void): () => void
  readonly up: boolean
  /** Called after each change of `up`. */
  onChange(listener: (up: boolean) => void): void
  close(): Promise<void>
}
