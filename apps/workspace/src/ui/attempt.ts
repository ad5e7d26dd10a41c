import { isStorageFull, reportStored, reportStorageTrouble } from "../device/storage-health.ts"
import { toast } from "./toasts.tsx"

/** Runs a write; says so when it fails. Resolves to whether it worked, so that a draft can be kept. */
export async function attempt(write: Promise<unknown>): Promise<boolean> {
  try {
    await write
    reportStored()
    return true
  } catch (error) {
    if (isStorageFull(error)) reportStorageTrouble("full")
    else
      toast(
        `That could not be saved: ${error instanceof Error ? error.message.slice(0, 120) : "unknown error"}`,
      )
    return false
  }
}
