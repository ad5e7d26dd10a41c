import { DropInError } from "./drop-in-error.ts"

// Exports of RxDB's plugin that people import and that have another place, or no meaning, here: imports go through, and
// calls say what to do instead.

/** Throws `DropInError` "unsupported": a pool comes from `replicateWebRTC()`. */
export const RxWebRTCReplicationPool: () => never = instead(
  "RxWebRTCReplicationPool",
  "call replicateWebRTC(), which resolves to a pool",
)
/** Throws `DropInError` "unsupported": a page should not bundle a server. `@dunlin/host` has it under this name. */
export const startSignalingServerSimplePeer: () => never = instead(
  "startSignalingServerSimplePeer",
  'import it from "@dunlin/host"',
)
/** Throws `DropInError` "unsupported": there is no master, every peer merges alike. */
export const isMasterInWebRTCReplication: () => never = instead(
  "isMasterInWebRTCReplication",
  "there is no master: every peer merges alike",
)
/** Throws `DropInError` "unsupported": messages of an application's own go by `room.presence`, or a transport. */
export const sendMessageAndAwaitAnswer: () => never = instead(
  "sendMessageAndAwaitAnswer",
  "use room.presence of @dunlin/core, or a transport of your own",
)
/** Throws `DropInError` "unsupported": pass the one of RxDB's plugin as `connectionHandlerCreator`. */
export const getConnectionHandlerNostr: () => never = instead(
  "getConnectionHandlerNostr",
  "pass the creator of RxDB's plugin as connectionHandlerCreator",
)

/** Nothing to polyfill: no code of simple-peer runs. */
export function ensureProcessNextTickIsSet(): void {}

/** Dunlin takes the module as it is. */
export function createSimplePeerWrtc<T>(polyfill: T): T {
  return polyfill
}

function instead(name: string, replacement: string): () => never {
  return function unsupported(): never {
    throw new DropInError("unsupported", `${name} is not part of @dunlin/rxdb: ${replacement}.`)
  }
}
