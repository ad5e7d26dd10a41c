import { DropInError } from "./drop-in-error.ts"

/** Exports of RxDB's plugin that people import and that have another place, or no meaning, here. */
export const RxWebRTCReplicationPool: () => never = instead(
  "RxWebRTCReplicationPool",
  "call replicateWebRTC(), which resolves to a pool",
)
export const startSignalingServerSimplePeer: () => never = instead(
  "startSignalingServerSimplePeer",
  'import it from "@dunlin/host"',
)
export const isMasterInWebRTCReplication: () => never = instead(
  "isMasterInWebRTCReplication",
  "there is no master: every peer merges alike",
)
export const sendMessageAndAwaitAnswer: () => never = instead(
  "sendMessageAndAwaitAnswer",
  "use room.presence of @dunlin/core, or a transport of your own",
)
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
