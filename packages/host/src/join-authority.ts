import type { Clock, Millis } from "@dunlin/core"
import type { SignalingErrorCode } from "@dunlin/core/signaling"
import type { TokenVerifier } from "./token-verifier.ts"

/** What a host's own rule bases its decision on. None of it may be logged. */
export interface JoinRequest {
  /** 32 bytes: the bearer that names the room. */
  readonly topic: Uint8Array
  /** 16 bytes that identify the session. */
  readonly peer: Uint8Array
  /** The client's address, determined with `trustedProxies`. */
  readonly address: string
  /** The page's origin as the browser reports it; empty outside of browsers. */
  readonly origin: string
  /** As the client sent it; already verified when `jwtAlgorithm` is set. */
  readonly token: string
  /** The claims of a verified JWT, or null when the host verifies none. */
  readonly claims: Readonly<Record<string, unknown>> | null
  /** Aborts when the client goes away or the time is up. */
  readonly signal: AbortSignal
}

/** True or false, or how long the answer holds: the client must renew before that. */
export type JoinVerdict = boolean | { readonly allow: true; readonly expiresInMs: number }

/**
 * An application's own rule. Anything but a plain yes is a no: the client hears "forbidden", or "internal" when the
 * rule throws or takes longer than `authorizeTimeoutMs`, after which `signal` is aborted.
 */
export type AuthorizeJoin = (request: JoinRequest) => JoinVerdict | Promise<JoinVerdict>

export type Authorization =
  /** `expiresAt` on the monotonic clock. */
  | { readonly type: "granted"; readonly expiresAt: Millis | null }
  | { readonly type: "denied"; readonly code: SignalingErrorCode; readonly detail: string }

export interface JoinAuthority {
  /** Whether anyone who knows a topic may join it, so that there is nothing to decide. */
  readonly isOpen: boolean
  /** Never rejects. */
  authorize(request: Omit<JoinRequest, "claims">): Promise<Authorization>
}

export function createJoinAuthority(options: {
  readonly verifier: TokenVerifier | null
  readonly authorizeJoin: AuthorizeJoin | null
  readonly authorizeTimeoutMs: number
  readonly clock: Clock
}): JoinAuthority {
  const { verifier, authorizeJoin, clock } = options

  const decide = async (request: Omit<JoinRequest, "claims">): Promise<Authorization> => {
    let claims: JoinRequest["claims"] = null
    let expiresAt: Millis | null = null
    if (verifier !== null) {
      const verdict = await verifier.verify(request.token, request.topic)
      if (verdict.type === "invalid") {
        return {
          type: "denied",
          code: verdict.expired ? "token-expired" : "unauthorized",
          detail: verdict.detail,
        }
      }
      claims = verdict.claims
      expiresAt = clock.monotonic() + verdict.expiresInMs
    }
    if (authorizeJoin === null) return { type: "granted", expiresAt }
    const outOfTime = new AbortController()
    const signal = AbortSignal.any([request.signal, outOfTime.signal])
    const verdict = await withTimeout(
      () => authorizeJoin({ ...request, claims, signal }),
      options.authorizeTimeoutMs,
      clock,
    ).catch((error: unknown) => {
      outOfTime.abort(error)
      throw error
    })
    const allowedForMs = allowedFor(verdict)
    if (allowedForMs === null) {
      return { type: "denied", code: "forbidden", detail: "this host does not allow the join" }
    }
    if (allowedForMs === Number.POSITIVE_INFINITY) return { type: "granted", expiresAt }
    const until = clock.monotonic() + allowedForMs
    return { type: "granted", expiresAt: expiresAt === null ? until : Math.min(expiresAt, until) }
  }

  return {
    isOpen: verifier === null && authorizeJoin === null,
    authorize: (request) =>
      decide(request).catch(() => ({
        type: "denied",
        code: "internal",
        detail: "the host could not decide on the join; try again",
      })),
  }
}

/**
 * Milliseconds for which the join is allowed, or null when it is not. Rules may be plain JavaScript, so anything that
 * is not plainly a yes is a no.
 */
function allowedFor(verdict: unknown): Millis | null {
  if (verdict === true) return Number.POSITIVE_INFINITY
  if (typeof verdict !== "object" || verdict === null) return null
  if (!("allow" in verdict) || verdict.allow !== true || !("expiresInMs" in verdict)) return null
  const { expiresInMs } = verdict
  return typeof expiresInMs === "number" && expiresInMs >= 0 ? expiresInMs : null
}

function withTimeout<T>(ask: () => T | Promise<T>, timeoutMs: Millis, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => reject(new Error("authorizeJoin has not answered in time")))
    Promise.resolve().then(ask).then(resolve, reject).finally(cancel)
  })
}
