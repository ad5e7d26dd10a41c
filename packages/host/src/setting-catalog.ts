import { MAX_FRAME_BYTES, MAX_JOIN_FRAME_BYTES, MAX_ROOM_PEERS } from "@dunlin/core/signaling"
import * as v from "valibot"
import type { HostSettings } from "./host-settings.ts"

export interface Setting<T> {
  readonly section: SettingSection
  readonly help: string
  readonly fallback: T
  readonly schema: v.GenericSchema<unknown, T>
  /** Turns the text of a flag or of an environment variable into what the schema takes. */
  readonly fromText: (text: string) => unknown
  /** True for a value that must not show in the list of processes: it comes from a file or the environment. */
  readonly secret?: boolean
}

export type SettingSection =
  | "Network"
  | "Operation"
  | "Authentication"
  | "STUN and TURN"
  | "Cluster"
  | "Limits for an address"
  | "Limits for a socket"
  | "Limits for a room"
  | "Limits for the process"

const KIB = 1024
const MIB = 1024 * KIB
/** As many as the protocol has room for. */
const MAX_ICE_URLS = 8

/** All settings: this table is the schema, the defaults and the help. */
export const settingCatalog: { readonly [K in keyof HostSettings]: Setting<HostSettings[K]> } = {
  port: whole("Network", 8787, 0, 65_535, "port for WebSockets; 0 takes a free one"),
  host: text("Network", "", "address to listen on; empty for all"),
  path: {
    ...text("Network", "/", "the only path on which WebSockets are accepted"),
    schema: v.pipe(v.string(), v.regex(/^\/[\w\-./~]*$/, "must be a path that begins with /")),
  },
  origins: list(
    "Network",
    v.pipe(v.string(), v.check(isOrigin, "an origin looks like https://app.example.org")),
    "pages that may connect, by origin; empty for all. Clients outside of browsers send none and are let in",
  ),
  tlsCertFile: text("Network", "", "PEM certificate chain; with tlsKeyFile the host speaks wss://"),
  tlsKeyFile: text("Network", "", "PEM private key; both files are read again on SIGHUP"),
  trustedProxies: list(
    "Network",
    v.string(),
    "addresses and CIDR ranges of proxies whose header names the client; from others it is ignored",
  ),
  proxyHeader: {
    ...text("Network", "x-forwarded-for", "the header in which trusted proxies name the client"),
    schema: v.pipe(v.string(), v.regex(/^[a-z0-9-]+$/, "must be a header name in lower case")),
  },
  operationsPort: {
    section: "Operation",
    help: 'port of /healthz, /readyz and /metrics; "next" is the one after port, 0 a free one, "off" none',
    fallback: "next",
    schema: v.union(
      [v.literal("off"), v.literal("next"), wholeSchema(0, 65_535)],
      'must be a port number, "next" or "off"',
    ),
    fromText: (value) => (value === "off" || value === "next" ? value : toNumber(value)),
  },
  operationsHost: text(
    "Operation",
    "127.0.0.1",
    "address for the operations port; it is not meant for the internet",
  ),
  logLevel: choice(
    "Operation",
    "silent",
    ["silent", "error", "warn", "info", "debug"],
    "how much is logged, as lines of JSON on standard output",
  ),
  drainMs: whole("Operation", 15_000, 0, 29_000, "time over which sockets are closed after SIGTERM, in ms"),
  jwtAlgorithm: choice(
    "Authentication",
    "",
    ["", "EdDSA", "HS256"],
    "joins need a JSON Web Token of exactly this kind, and none when this is empty",
  ),
  jwtKey: {
    ...text(
      "Authentication",
      "",
      "EdDSA: the public key, PEM or JWK. HS256: the secret, base64url, 32 bytes or more",
    ),
    secret: true,
  },
  jwtKeyFile: text("Authentication", "", "a file that holds the key instead"),
  jwtAudience: text("Authentication", "dunlin", "what the token's aud must be"),
  jwtIssuer: text("Authentication", "", "what the token's iss must be; empty for any"),
  jwtMaxLifetimeSeconds: whole(
    "Authentication",
    600,
    30,
    86_400,
    "tokens valid for longer are refused, in s",
  ),
  authorizeTimeoutMs: whole(
    "Authentication",
    5000,
    100,
    60_000,
    "time for a rule of your own to decide, in ms",
  ),
  stunUrls: list(
    "STUN and TURN",
    iceUrl("stun"),
    "STUN servers given to clients, such as stun:stun.example.org:3478; at most 8",
    MAX_ICE_URLS,
  ),
  turnUrls: list(
    "STUN and TURN",
    iceUrl("turn"),
    "TURN servers given to clients, such as turn:turn.example.org:3478; at most 8",
    MAX_ICE_URLS,
  ),
  turnSecret: {
    ...text("STUN and TURN", "", "the TURN server's static-auth-secret"),
    secret: true,
  },
  turnSecretFile: text("STUN and TURN", "", "a file that holds the secret instead"),
  turnTtlSeconds: whole("STUN and TURN", 3600, 10, 86_400, "how long TURN credentials are valid, in s"),
  turnRequestsPerMinute: whole(
    "STUN and TURN",
    5,
    1,
    600,
    "new credentials that the sockets of an address may ask for in a minute",
  ),
  cluster: list(
    "Cluster",
    v.pipe(v.string(), v.check(isNatsUrl, "must look like nats://nats.example.org:4222")),
    "NATS servers that connect several hosts into one",
  ),
  clusterCredentialsFile: text("Cluster", "", "a NATS credentials file, for servers that want one"),
  clusterNode: {
    ...text("Cluster", "", "this host's name in the cluster, unique there; empty for a random one"),
    schema: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{0,32}$/, "at most 32 of A-Z a-z 0-9 _ -")),
  },
  addressConnectionsPerSecond: whole("Limits for an address", 10, 1, 1e6, "new connections a second"),
  addressConnectionBurst: whole("Limits for an address", 30, 1, 1e6, "new connections at once"),
  addressMaxConnections: whole(
    "Limits for an address",
    100,
    1,
    1e6,
    "connections at a time; IPv6 counts by /64",
  ),
  addressFailedJoinsPerMinute: whole(
    "Limits for an address",
    20,
    1,
    1e6,
    "failed joins, malformed frames and floods in a minute; more block the address",
  ),
  addressBlockMs: whole(
    "Limits for an address",
    600_000,
    0,
    86_400_000,
    "how long it is blocked, in ms; 0 for never",
  ),
  maxFrameBytes: whole("Limits for a socket", MAX_FRAME_BYTES, 20 * KIB, MAX_FRAME_BYTES, "bytes a frame"),
  maxJoinFrameBytes: whole(
    "Limits for a socket",
    MAX_JOIN_FRAME_BYTES,
    MAX_JOIN_FRAME_BYTES,
    MAX_FRAME_BYTES,
    "bytes a frame before the first join",
  ),
  httpTimeoutMs: whole(
    "Limits for a socket",
    15_000,
    100,
    60_000,
    "time for the HTTP request and the TLS handshake, in ms",
  ),
  maxHeaderBytes: whole("Limits for a socket", 8 * KIB, KIB, 64 * KIB, "bytes of HTTP headers"),
  joinDeadlineMs: whole("Limits for a socket", 15_000, 100, 600_000, "time for the first join, in ms"),
  socketMessagesPerSecond: whole("Limits for a socket", 20, 1, 1e6, "messages a second"),
  socketMessageBurst: whole("Limits for a socket", 100, 1, 1e6, "messages at once"),
  socketBytesPerSecond: whole("Limits for a socket", 64 * KIB, KIB, 1024 * MIB, "bytes a second"),
  socketByteBurst: whole("Limits for a socket", 256 * KIB, 32 * KIB, 1024 * MIB, "bytes at once"),
  socketMaxTopics: whole("Limits for a socket", 8, 1, 1000, "topics"),
  heartbeatMs: whole("Limits for a socket", 25_000, 100, 600_000, "a ping is sent this often, in ms"),
  heartbeatGraceMs: whole("Limits for a socket", 20_000, 100, 600_000, "time to answer a ping, in ms"),
  idleMs: whole("Limits for a socket", 60_000, 100, 3_600_000, "time a socket may be in no topic, in ms"),
  graceMs: whole(
    "Limits for a socket",
    15_000,
    0,
    300_000,
    "time to come back before others see a leave, in ms",
  ),
  slowBytes: whole("Limits for a socket", 256 * KIB, 0, 64 * MIB, "unread bytes above which presence waits"),
  slowCloseBytes: whole(
    "Limits for a socket",
    MIB,
    0,
    256 * MIB,
    "unread bytes above which the socket is closed",
  ),
  slowCloseMs: whole(
    "Limits for a socket",
    10_000,
    100,
    600_000,
    "time above slowBytes after which it is closed, in ms",
  ),
  roomMaxSockets: whole("Limits for a room", 64, 2, MAX_ROOM_PEERS, "members of a topic"),
  roomMessagesPerSecond: whole("Limits for a room", 200, 1, 1e6, "signals a second"),
  roomMessageBurst: whole("Limits for a room", 2000, 1, 1e6, "signals at once, such as when everyone joins"),
  maxSockets: whole("Limits for the process", 10_000, 1, 1e6, "sockets"),
  maxTopics: whole("Limits for the process", 100_000, 1, 1e7, "topics"),
  maxLoopLagMs: whole(
    "Limits for the process",
    200,
    10,
    60_000,
    "event loop lag, p99, above which sockets are refused, in ms",
  ),
  maxHeapPercent: whole(
    "Limits for the process",
    80,
    10,
    100,
    "heap use above which sockets are refused, in %",
  ),
  maxBufferedBytes: whole(
    "Limits for the process",
    128 * MIB,
    MIB,
    16 * 1024 * MIB,
    "unread bytes of all sockets together; above, the worst readers are closed",
  ),
}

/** `maxSockets` is `--max-sockets` on the command line. */
export function flagOf(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** `maxSockets` is `DUNLIN_MAX_SOCKETS` in the environment. */
export function variableOf(key: string): string {
  return `DUNLIN_${flagOf(key).replaceAll("-", "_").toUpperCase()}`
}

function whole(
  section: SettingSection,
  fallback: number,
  min: number,
  max: number,
  help: string,
): Setting<number> {
  return { section, help, fallback, schema: wholeSchema(min, max), fromText: toNumber }
}

function wholeSchema(min: number, max: number): v.GenericSchema<unknown, number> {
  const message = `must be a whole number from ${min} to ${max}`
  return v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message))
}

function text(section: SettingSection, fallback: string, help: string): Setting<string> {
  const schema = v.pipe(v.string("must be text"), v.maxLength(8 * KIB, "is too long"))
  return { section, help, fallback, schema, fromText: (value) => value }
}

function choice<const T extends string>(
  section: SettingSection,
  fallback: T,
  options: readonly T[],
  help: string,
): Setting<T> {
  const names = options.filter((option) => option !== "").join(", ")
  return {
    section,
    help: `${help}; one of ${names}`,
    fallback,
    schema: v.picklist(options, `must be one of ${names}`),
    fromText: (value) => value,
  }
}

function list(
  section: SettingSection,
  item: v.GenericSchema<unknown, string>,
  help: string,
  maxItems = 1000,
): Setting<readonly string[]> {
  return {
    section,
    help: `${help} (separated by commas)`,
    fallback: [],
    schema: v.pipe(
      v.array(item, "must be a list of texts"),
      v.maxLength(maxItems, `has more than ${maxItems} items`),
    ),
    fromText: (value) => value.split(",").flatMap((part) => (part.trim() === "" ? [] : [part.trim()])),
  }
}

/** Text that is not a number stays text, and the schema says what was expected. */
function toNumber(value: string): unknown {
  return /^\d+$/.test(value.trim()) ? Number(value) : value
}

function iceUrl(scheme: "stun" | "turn"): v.GenericSchema<unknown, string> {
  const example = `must look like ${scheme}:${scheme}.example.org:3478`
  return v.pipe(v.string(example), v.regex(new RegExp(`^${scheme}s?:[^\\s,]{1,400}$`), example))
}

function isNatsUrl(value: string): boolean {
  if (!/^(nats|tls):\/\/[^\s/]+$/.test(value)) return false
  try {
    const { username, password } = new URL(value)
    decodeURIComponent(username + password)
    return true
  } catch {
    return false
  }
}

function isOrigin(value: string): boolean {
  try {
    return new URL(value).origin === value
  } catch {
    return false
  }
}
