/** Every setting of a host; `dunlin-host --help` lists them in kebab case. `startHost` takes each as optional. */
export interface HostSettings {
  /** Port for WebSockets; 0 takes a free one. Default 8787. */
  readonly port: number
  /** Address to listen on; empty for all. Default "". */
  readonly host: string
  /** The only path on which WebSockets are accepted. Default "/". */
  readonly path: string
  /** Pages that may connect, by origin; empty for all. Clients outside of browsers send none and are let in. Default []. */
  readonly origins: readonly string[]
  /** PEM certificate chain; with tlsKeyFile the host speaks wss://. Default "". */
  readonly tlsCertFile: string
  /** PEM private key; both files are read again on SIGHUP. Default "". */
  readonly tlsKeyFile: string
  /** Addresses and CIDR ranges of proxies whose header names the client; from others it is ignored. Default []. */
  readonly trustedProxies: readonly string[]
  /** The header in which trusted proxies name the client. Default "x-forwarded-for". */
  readonly proxyHeader: string
  /** Port of /healthz, /readyz and /metrics; "next" is the one after port, 0 a free one, "off" none. Default "next". */
  readonly operationsPort: number | "off" | "next"
  /** Address for the operations port; it is not meant for the internet. Default "127.0.0.1". */
  readonly operationsHost: string
  /** How much is logged, as lines of JSON on standard output; one of silent, error, warn, info, debug. Default "silent". */
  readonly logLevel: LogLevel
  /** Joins need a JSON Web Token of exactly this kind, and none when this is empty; one of EdDSA, HS256. Default "". */
  readonly jwtAlgorithm: "" | "EdDSA" | "HS256"
  /** EdDSA: the public key, PEM or JWK. HS256: the secret, base64url, 32 bytes or more. Default "". */
  readonly jwtKey: string
  /** A file that holds the key instead. Default "". */
  readonly jwtKeyFile: string
  /** What the token's aud must be. Default "dunlin". */
  readonly jwtAudience: string
  /** What the token's iss must be; empty for any. Default "". */
  readonly jwtIssuer: string
  /** Tokens valid for longer are refused, in s. Default 600. */
  readonly jwtMaxLifetimeSeconds: number
  /** Time for a rule of your own to decide, in ms. Default 5000. */
  readonly authorizeTimeoutMs: number
  /** STUN servers given to clients, such as stun:stun.example.org:3478; at most 8. Default []. */
  readonly stunUrls: readonly string[]
  /** TURN servers given to clients, such as turn:turn.example.org:3478; at most 8. Default []. */
  readonly turnUrls: readonly string[]
  /** The TURN server's static-auth-secret. Default "". */
  readonly turnSecret: string
  /** A file that holds the secret instead. Default "". */
  readonly turnSecretFile: string
  /** How long TURN credentials are valid, in s. Default 3600. */
  readonly turnTtlSeconds: number
  /** New credentials that the sockets of an address may ask for in a minute. Default 5. */
  readonly turnRequestsPerMinute: number
  /** NATS servers that connect several hosts into one. Default []. */
  readonly cluster: readonly string[]
  /** A NATS credentials file, for servers that want one. Default "". */
  readonly clusterCredentialsFile: string
  /** This host's name in the cluster, unique there; empty for a random one. Default "". */
  readonly clusterNode: string
  /** Bytes a frame. Default 32768. */
  readonly maxFrameBytes: number
  /** Bytes a frame before the first join. Default 1024. */
  readonly maxJoinFrameBytes: number
  /** Time for the HTTP request and the TLS handshake, in ms. Default 15000. */
  readonly httpTimeoutMs: number
  /** Bytes of HTTP headers. Default 8192. */
  readonly maxHeaderBytes: number
  /** Time for the first join, in ms. Default 15000. */
  readonly joinDeadlineMs: number
  /** New connections a second. Default 10. */
  readonly addressConnectionsPerSecond: number
  /** New connections at once. Default 30. */
  readonly addressConnectionBurst: number
  /** Connections at a time; IPv6 counts by /64. Default 100. */
  readonly addressMaxConnections: number
  /** Failed joins, malformed frames and floods in a minute; more block the address. Default 20. */
  readonly addressFailedJoinsPerMinute: number
  /** How long it is blocked, in ms; 0 for never. Default 600000. */
  readonly addressBlockMs: number
  /** Messages a second. Default 20. */
  readonly socketMessagesPerSecond: number
  /** Messages at once. Default 100. */
  readonly socketMessageBurst: number
  /** Bytes a second. Default 65536. */
  readonly socketBytesPerSecond: number
  /** Bytes at once. Default 262144. */
  readonly socketByteBurst: number
  /** Topics. Default 8. */
  readonly socketMaxTopics: number
  /** Members of a topic. Default 64. */
  readonly roomMaxSockets: number
  /** Signals a second. Default 200. */
  readonly roomMessagesPerSecond: number
  /** Signals at once, such as when everyone joins. Default 2000. */
  readonly roomMessageBurst: number
  /** Sockets. Default 10000. */
  readonly maxSockets: number
  /** Topics. Default 100000. */
  readonly maxTopics: number
  /** Event loop lag, p99, above which sockets are refused, in ms. Default 200. */
  readonly maxLoopLagMs: number
  /** Heap use above which sockets are refused, in %. Default 80. */
  readonly maxHeapPercent: number
  /** Unread bytes of all sockets together; above, the worst readers are closed. Default 134217728. */
  readonly maxBufferedBytes: number
  /** A ping is sent this often, in ms. Default 25000. */
  readonly heartbeatMs: number
  /** Time to answer a ping, in ms. Default 20000. */
  readonly heartbeatGraceMs: number
  /** Time a socket may be in no topic, in ms. Default 60000. */
  readonly idleMs: number
  /** Time to come back before others see a leave, in ms. Default 15000. */
  readonly graceMs: number
  /** Unread bytes above which presence waits. Default 262144. */
  readonly slowBytes: number
  /** Unread bytes above which the socket is closed. Default 1048576. */
  readonly slowCloseBytes: number
  /** Time above slowBytes after which it is closed, in ms. Default 10000. */
  readonly slowCloseMs: number
  /** Time over which sockets are closed after SIGTERM, in ms. Default 15000. */
  readonly drainMs: number
}

/** From nothing to everything. Addresses are logged as aliases that change with each start, topics and tokens never. */
export type LogLevel = "silent" | "error" | "warn" | "info" | "debug"
