import { readFileSync } from "node:fs"
import { createSecureContext } from "node:tls"
import { HostError } from "./host-error.ts"
import type { HostSettings } from "./host-settings.ts"

export interface TlsFiles {
  readonly cert: string
  readonly key: string
}

/** Null when the host is to speak plain WebSockets. */
export function readTlsFiles(settings: Pick<HostSettings, "tlsCertFile" | "tlsKeyFile">): TlsFiles | null {
  if (settings.tlsCertFile === "") return null
  const files: TlsFiles = {
    cert: readSettingFile("tlsCertFile", settings.tlsCertFile),
    key: readSettingFile("tlsKeyFile", settings.tlsKeyFile),
  }
  try {
    createSecureContext(files)
  } catch (cause) {
    throw new HostError(
      "invalid-setting",
      "tlsCertFile, tlsKeyFile: not a certificate with its key, as PEM",
      {
        cause,
      },
    )
  }
  return files
}

/** A secret given either directly or in a file, not both. */
export function readSecret(setting: string, value: string, file: string): string {
  if (file === "") return value
  if (value !== "") {
    throw new HostError("invalid-setting", `${setting}: give the value or ${setting}File, not both`)
  }
  const secret = readSettingFile(`${setting}File`, file).trim()
  if (secret === "")
    throw new HostError("invalid-setting", `${setting}File: ${file} is empty; it must hold the secret`)
  return secret
}

export function readSettingFile(setting: string, path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch (cause) {
    const { code = "", message } = cause as NodeJS.ErrnoException
    const reason = reasonsByCode.get(code) ?? message
    throw new HostError("unreadable-file", `${setting}: cannot read ${path}: ${reason}`, { cause })
  }
}

const reasonsByCode: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "there is no such file"],
  ["EACCES", "this user may not read it"],
  ["EISDIR", "it is a directory"],
])
