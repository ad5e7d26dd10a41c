import { createPublicKey, createSecretKey, type KeyObject } from "node:crypto"
import { errors, jwtVerify } from "jose"
import { HostError } from "./host-error.ts"

export type TokenVerdict =
  | {
      readonly type: "valid"
      readonly claims: Readonly<Record<string, unknown>>
      readonly expiresInMs: number
    }
  | { readonly type: "invalid"; readonly expired: boolean; readonly detail: string }

export interface TokenVerifier {
  /** `topic` is the one that the client wants to join: a token with a `topic` claim fits only that topic. */
  verify(token: string, topic: Uint8Array): Promise<TokenVerdict>
}

export type JwtAlgorithm = "EdDSA" | "HS256"

/** The clocks of the issuer and of this host may differ by this much. */
const CLOCK_TOLERANCE_S = 30
const MIN_SECRET_BYTES = 32

/** Verifies JSON Web Tokens by the configured algorithm only, whatever the token's header says. */
export function createTokenVerifier(options: {
  readonly algorithm: JwtAlgorithm
  /** EdDSA: a public key as PEM (SPKI) or JWK. HS256: the secret, base64url. */
  readonly key: string
  readonly audience: string
  readonly issuer: string | null
  readonly maxLifetimeSeconds: number
  /** Wall clock, in milliseconds. */
  readonly now: () => number
}): TokenVerifier {
  const key = importKey(options.algorithm, options.key)

  return {
    async verify(token, topic) {
      if (token === "") return invalid("this host wants a token with the join, and there was none")
      const nowMs = options.now()
      try {
        const { payload } = await jwtVerify(token, key, {
          algorithms: [options.algorithm],
          audience: options.audience,
          clockTolerance: CLOCK_TOLERANCE_S,
          currentDate: new Date(nowMs),
          requiredClaims: ["exp"],
          ...(options.issuer === null ? {} : { issuer: options.issuer }),
        })
        const lifetimeMs = (payload.exp ?? 0) * 1000 - nowMs
        if (lifetimeMs > (options.maxLifetimeSeconds + CLOCK_TOLERANCE_S) * 1000) {
          return invalid(`the token is valid for longer than ${options.maxLifetimeSeconds} s`)
        }
        if ("topic" in payload && payload["topic"] !== Buffer.from(topic).toString("base64url")) {
          return invalid("the token is for another topic")
        }
        return {
          type: "valid",
          claims: payload,
          // The tolerance keeps a token valid a little beyond its `exp`.
          expiresInMs: lifetimeMs + CLOCK_TOLERANCE_S * 1000,
        }
      } catch (error) {
        if (error instanceof errors.JWTExpired) {
          return { type: "invalid", expired: true, detail: "the token has expired" }
        }
        return invalid(
          error instanceof errors.JWTClaimValidationFailed ? claimDetail(error) : "the token is not valid",
        )
      }
    },
  }
}

function invalid(detail: string): TokenVerdict {
  return { type: "invalid", expired: false, detail }
}

/** The host may reveal the names of claims, but not their values. */
function claimDetail(error: errors.JWTClaimValidationFailed): string {
  return `the token's claim "${error.claim}" is not what this host wants`
}

function importKey(algorithm: JwtAlgorithm, text: string): KeyObject {
  if (algorithm === "HS256") {
    if (!/^[\w+/-]*={0,2}$/.test(text.trim())) {
      throw new HostError("invalid-setting", "jwtKey: the HS256 secret must be written as base64url")
    }
    const secret = Buffer.from(text.trim(), "base64url")
    if (secret.length < MIN_SECRET_BYTES) {
      throw new HostError(
        "invalid-setting",
        `jwtKey: HS256 needs a secret of at least ${MIN_SECRET_BYTES} bytes, base64url; this one has ${secret.length}`,
      )
    }
    return createSecretKey(secret)
  }
  try {
    const jwk = text.trimStart().startsWith("{") ? (JSON.parse(text) as Record<string, string>) : null
    if (text.includes("PRIVATE KEY") || (jwk !== null && "d" in jwk)) {
      throw new HostError(
        "invalid-setting",
        "jwtKey: this is a private key; keep it with the issuer, and give the host the public one",
      )
    }
    const key = jwk === null ? createPublicKey(text) : createPublicKey({ key: jwk, format: "jwk" })
    if (key.asymmetricKeyType !== "ed25519") throw new Error(`it is an ${key.asymmetricKeyType} key`)
    return key
  } catch (cause) {
    if (cause instanceof HostError) throw cause
    throw new HostError("invalid-setting", "jwtKey: not an Ed25519 public key as PEM (SPKI) or JWK", {
      cause,
    })
  }
}
