import { errorMessage } from "../ui/error-message.ts"

/**
 * Why a text did not open, to be shown as a part of a sentence. By its code, and not by the class of `@dunlin/loro`: that would
 * load Loro with the page.
 */
export function whyUnreadable(error: unknown): string {
  switch (codeOf(error)) {
    case "document-corrupt":
      return "it is damaged on this device, and comes back when a device that has it is here"
    case "document-deleted":
      return "it was deleted"
    default:
      return errorMessage(error)
  }
}

export function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : null
}
