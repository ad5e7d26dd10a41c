/** Every setting of a host, with its value. What each means: `settingCatalog`, and `dunlin-host --help`. */
export interface HostSettings {
  readonly port: number
  readonly host: string
  readonly path: string
  readonly origins: readonly string[]
  readonly tlsCertFile: string
  readonly tlsKeyFile: string
  readonly trustedProxies: readonly string[]
  readonly proxyHeader: string
  readonly operationsPort: number | "off" | "next"
  readonly operationsHost: string
  readonly logLevel: LogLevel
  readonly jwtAlgorithm: "" | "EdDSA" | "HS256"
  readonly jwtKey: string
  readonly jwtKeyFile: string
  readonly jwtAudience: string
  readonly jwtIssuer: string
  readonly jwtMaxLifetimeSeconds: number
  readonly authorizeTimeoutMs: number
  readonly stunUrls: readonly string[]
  readonly turnUrls: readonly string[]
  readonly turnSecret: string
  readonly turnSecretFile: string
  readonly turnTtlSeconds: number
  readonly turnRequestsPerMinute: number
  readonly cluster: readonly string[]
  readonly clusterCredentialsFile: string
  readonly clusterNode: string
  readonly maxFrameBytes: number
  readonly maxJoinFrameBytes: number
  readonly httpTimeoutMs: number
  readonly maxHeaderBytes: number
  readonly joinDeadlineMs: number
  readonly addressConnectionsPerSecond: number
  readonly addressConnectionBurst: number
  readonly addressMaxConnections: number
  readonly addressFailedJoinsPerMinute: number
  readonly addressBlockMs: number
  readonly socketMessagesPerSecond: number
  readonly socketMessageBurst: number
  readonly socketBytesPerSecond: number
  readonly socketByteBurst: number
  readonly socketMaxTopics: number
  readonly roomMaxSockets: number
  readonly roomMessagesPerSecond: number
  readonly roomMessageBurst: number
  readonly maxSockets: number
  readonly maxTopics: number
  readonly maxLoopLagMs: number
  readonly maxHeapPercent: number
  readonly maxBufferedBytes: number
  readonly heartbeatMs: number
  readonly heartbeatGraceMs: number
  readonly idleMs: number
  readonly graceMs: number
  readonly slowBytes: number
  readonly slowCloseBytes: number
  readonly slowCloseMs: number
  readonly drainMs: number
}

/** From nothing to everything. Addresses appear as aliases that change with each start, topics and tokens not at all. */
export type LogLevel = "silent" | "error" | "warn" | "info" | "debug"
