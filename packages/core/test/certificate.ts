import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface Certificate {
  readonly cert: string
  readonly key: string
}

const AUTHORITY = (name: string): string => `
[ca]
default_ca = test
[test]
database = index
serial = serial
new_certs_dir = .
default_md = default
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:${name}
`

/** A certificate that signs itself. Needs the program `openssl`. */
export function createCertificate(
  name: string,
  { years }: { readonly years: readonly [number, number] },
): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "dunlin-certificate-"))
  const openssl = (...args: readonly string[]): unknown =>
    execFileSync("openssl", args, { cwd: folder, stdio: "ignore" })
  try {
    for (const [file, text] of [
      ["index", ""],
      ["serial", "01"],
      ["authority", AUTHORITY(name)],
    ] as const)
      writeFileSync(join(folder, file), text)
    openssl(
      "req",
      "-newkey",
      "ed25519",
      "-nodes",
      "-subj",
      `/CN=${name}`,
      "-keyout",
      "key",
      "-out",
      "request",
    )
    const [from, to] = years.map((year) => `${year}0101000000Z`) as [string, string]
    const sign = [
      "-batch",
      "-notext",
      "-selfsign",
      "-config",
      "authority",
      "-keyfile",
      "key",
      "-in",
      "request",
    ]
    openssl("ca", ...sign, "-out", "cert", "-startdate", from, "-enddate", to)
    return {
      cert: readFileSync(join(folder, "cert"), "utf8"),
      key: readFileSync(join(folder, "key"), "utf8"),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
