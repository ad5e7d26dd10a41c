/**
 * The signaling host as a library.
 *
 * @module @dunlin/host
 */
export { type Host, type HostOptions, type HostStats, startHost } from "./start-host.ts"
export type { HostSettings, LogLevel } from "./host-settings.ts"
export { HostError, type HostErrorCode } from "./host-error.ts"
export type { AuthorizeJoin, JoinRequest, JoinVerdict } from "./join-authority.ts"
export { type SimplePeerSignalingServer, startSignalingServerSimplePeer } from "./simple-peer-server.ts"
