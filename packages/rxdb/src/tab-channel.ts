import { parseTabMessage, type TabMessage } from "./tab-message.ts"

/** The tabs that share one collection in one room. */
export interface TabChannel {
  post(message: TabMessage): void
  /** Replaces the previous listener. */
  listen(listener: (message: TabMessage) => void): void
  /** Nothing is sent or received afterwards. Idempotent. */
  close(): void
}

export function openTabChannel(name: string): TabChannel {
  const channel = new BroadcastChannel(name)
  // In Node a tab that only waits for a question must not hold the process open.
  if ("unref" in channel) (channel as unknown as { unref(): void }).unref()
  let isOpen = true
  return {
    post(message) {
      if (isOpen) channel.postMessage(message)
    },
    listen(listener) {
      channel.onmessage = ({ data }: MessageEvent<unknown>) => {
        const message = parseTabMessage(data)
        if (message !== null && isOpen) listener(message)
      }
    },
    close() {
      isOpen = false
      channel.close()
    },
  }
}
