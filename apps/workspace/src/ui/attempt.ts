import { isStorageFull, reportStored, reportStorageTrouble } from "../device/storage-health.ts"
import { toast } from "./toasts.tsx"

/**
 * Runs a write and reports a failure, as a toast unless there is a better place. Resolves to whether it worked, so that
 * a draft can be kept.
 */
export async function attempt(
  write: Promise<unknown>,
  say: (reason: string) => void = (reason) => toast(`That could not be saved: ${reason}`),
): Promise<boolean> {
  try {
    await write
    reportStored()
    return true
  } catch (error) {
    if (isStorageFull(error)) reportStorageTrouble("full")
    else say(error instanceof Error ? error.message.slice(0, 120) : "unknown error")
    return false
  }
}
