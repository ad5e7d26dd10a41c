// This part of your application lets its users join: it knows who is asking, and signs for ten minutes at most.
//   node token-issuer.ts     prints a public key for --jwt-key-file, and serves tokens on port 3000 (or PORT)
import { createServer } from "node:http"
import { exportSPKI, generateKeyPair, SignJWT } from "jose"

/** Keep the private key with your other secrets; a fresh one at each start is only for trying this out. */
const { publicKey, privateKey } = await generateKeyPair("EdDSA")
process.stdout.write(await exportSPKI(publicKey))

export async function issueToken(user: string, topic?: string): Promise<string> {
  // With `topic` (32 bytes as base64url) the token opens only that room; clients know it, your server need not.
  return await new SignJWT(topic === undefined ? {} : { topic })
    .setProtectedHeader({ alg: "EdDSA" })
    .setSubject(user)
    .setAudience("dunlin")
    .setIssuedAt()
    .setExpirationTime("5 minutes")
    .sign(privateKey)
}

createServer((request, response) => {
  const user = signedInUser(request.headers.cookie)
  if (user === null) {
    response.writeHead(401).end()
    return
  }
  void issueToken(user).then((token) => response.end(token))
}).listen(Number(process.env["PORT"] ?? 3000))

/** Replace this with the way your application recognises its users. */
function signedInUser(cookie: string | undefined): string | null {
  return /(?:^|; )user=(\w+)/.exec(cookie ?? "")?.[1] ?? null
}
