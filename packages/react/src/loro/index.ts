/**
 * Hooks for Loro documents.
 *
 * @module @dunlin/react/loro
 */
export { type LoroDocState, useLoroDoc } from "./use-loro-doc.ts"
export { type TextHandle, useText } from "./use-text.ts"
