export { type LoroDocState, useLoroDoc } from "./use-loro-doc.ts"
export { useText } from "./use-text.ts"
