import { type DeviceKey, type Identity, IdentityError } from "./identity.ts"
import { importPrivateKey, publicKeyOf, sign } from "./primitives.ts"

const SEED_BYTES = 32

/**
 * A key in a file that only its owner may read (0600), made at the first load. Default:
 * `$XDG_DATA_HOME/dunlin/device-key`, or `~/.local/share/dunlin/device-key`.
 */
export function fileIdentity(path?: string): Identity {
  return {
    async load() {
      const node = nodeModules()
      if (node === null) {
        throw new IdentityError("no-storage", "A key file needs Node.js. Use `browserIdentity()` in a page.")
      }
      const file = path ?? defaultPath(node)
      try {
        return await keyOf(readSeed(node, file) ?? createSeed(node, file))
      } catch (cause) {
        if (cause instanceof IdentityError) throw cause
        throw new IdentityError(
          "storage-failed",
          `The device key file ${file} cannot be read or made. Pass \`identity: fileIdentity(path)\` with a path that can.`,
          { cause },
        )
      }
    },
  }
}

/** The device's key in its default file; null where there are no files. */
export function identityOfFiles(): Identity | null {
  return nodeModules() === null ? null : fileIdentity()
}

interface NodeModules {
  readonly fs: typeof import("node:fs")
  readonly os: typeof import("node:os")
  readonly path: typeof import("node:path")
  readonly process: NodeJS.Process
}

/** Asks the runtime instead of importing, so that bundles for browsers contain no trace of Node modules. */
function nodeModules(): NodeModules | null {
  const { process } = globalThis as { process?: NodeJS.Process }
  if (typeof process?.getBuiltinModule !== "function") return null
  return {
    fs: process.getBuiltinModule("node:fs"),
    os: process.getBuiltinModule("node:os"),
    path: process.getBuiltinModule("node:path"),
    process,
  }
}

function defaultPath({ os, path, process }: NodeModules): string {
  const data = process.env["XDG_DATA_HOME"] ?? path.join(os.homedir(), ".local", "share")
  return path.join(data, "dunlin", "device-key")
}

function readSeed({ fs, process }: NodeModules, file: string): Uint8Array | null {
  if (!fs.existsSync(file)) return null
  const { mode } = fs.statSync(file)
  // Windows has no such bits: access lists guard the profile directory there.
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    throw new IdentityError(
      "exposed-key",
      `Others may read the device key file ${file}. Run \`chmod 600\` on it, or delete it to get a new key.`,
    )
  }
  const seed = new Uint8Array(fs.readFileSync(file))
  if (seed.length === SEED_BYTES) return seed
  throw new IdentityError(
    "damaged-key",
    `The device key file ${file} has ${seed.length} bytes, not ${SEED_BYTES}. Delete it to get a new key.`,
  )
}

function createSeed(node: NodeModules, file: string): Uint8Array {
  const { fs, path, process } = node
  const directory = path.dirname(file)
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  const seed = crypto.getRandomValues(new Uint8Array(SEED_BYTES))
  const draft = `${file}.${process.pid}.${Math.trunc(performance.now() * 1000)}`
  fs.writeFileSync(draft, seed, { mode: 0o600, flag: "wx", flush: true })
  try {
    // Unlike a rename, a link fails if another process was first: then the other's key counts.
    fs.linkSync(draft, file)
    return seed
  } catch (error) {
    const first = readSeed(node, file)
    if (first === null) throw error
    return first
  } finally {
    fs.unlinkSync(draft)
  }
}

async function keyOf(seed: Uint8Array): Promise<DeviceKey> {
  const [privateKey, publicKey] = await Promise.all([
    importPrivateKey("Ed25519", seed),
    publicKeyOf("Ed25519", seed),
  ])
  return { publicKey, sign: (message) => sign(privateKey, message) }
}
