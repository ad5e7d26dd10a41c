import * as v from "valibot"
import { isAddressRange } from "./client-address.ts"
import { HostError } from "./host-error.ts"
import type { HostSettings } from "./host-settings.ts"
import { type Setting, settingCatalog } from "./setting-catalog.ts"

/** Where a raw value comes from, for messages: "--port", "DUNLIN_PORT", "the option port". */
export type SettingSource = (key: keyof HostSettings) => string

/**
 * Fills in defaults and checks everything, including rules between settings. Throws `HostError` "invalid-setting" or
 * "unknown-setting" with a message that names the setting and says what it accepts.
 */
export function parseSettings(
  raw: Readonly<Record<string, unknown>>,
  source: SettingSource = (key) => `the option ${key}`,
): HostSettings {
  for (const key of Object.keys(raw)) {
    if (!Object.hasOwn(settingCatalog, key)) {
      throw new HostError("unknown-setting", `there is no setting ${JSON.stringify(key)}${suggestion(key)}`)
    }
  }
  const entries = Object.entries(settingCatalog) as [keyof HostSettings, Setting<unknown>][]
  const settings = Object.fromEntries(
    entries.map(([key, setting]) => [key, parseSetting(key, setting, raw[key], source)]),
  ) as unknown as HostSettings
  checkTogether(settings, source)
  return settings
}

function parseSetting(
  key: keyof HostSettings,
  setting: Setting<unknown>,
  value: unknown,
  source: SettingSource,
): unknown {
  if (value === undefined) return setting.fallback
  const result = v.safeParse(setting.schema, value)
  if (result.success) return result.output
  throw new HostError("invalid-setting", `${source(key)}: ${result.issues[0].message} (${setting.help})`)
}

function checkTogether(settings: HostSettings, source: SettingSource): void {
  const refuse = (key: keyof HostSettings, why: string): never => {
    throw new HostError("invalid-setting", `${source(key)}: ${why}`)
  }
  if (settings.operationsPort === "next" && settings.port === 65_535) {
    refuse("operationsPort", 'there is no port after 65535; choose one, or "off"')
  }
  if ((settings.tlsCertFile === "") !== (settings.tlsKeyFile === "")) {
    refuse(
      settings.tlsCertFile === "" ? "tlsCertFile" : "tlsKeyFile",
      "TLS needs both the certificate and the key",
    )
  }
  const hasKey = settings.jwtKey !== "" || settings.jwtKeyFile !== ""
  if (settings.jwtAlgorithm !== "" && !hasKey)
    refuse("jwtKey", `${settings.jwtAlgorithm} needs a key: give jwtKey or jwtKeyFile`)
  // Without this, forgetting the algorithm would leave open a host that was meant to be closed.
  if (settings.jwtAlgorithm === "" && hasKey)
    refuse("jwtAlgorithm", "a key is set; set EdDSA or HS256 as well")
  if (settings.turnUrls.length > 0 && settings.turnSecret === "" && settings.turnSecretFile === "") {
    refuse("turnSecret", "TURN urls need the secret that the TURN server has")
  }
  if (settings.maxJoinFrameBytes > settings.maxFrameBytes) {
    refuse("maxJoinFrameBytes", `must not be over maxFrameBytes, ${settings.maxFrameBytes}`)
  }
  if (settings.slowBytes > settings.slowCloseBytes) {
    refuse("slowBytes", `must not be over slowCloseBytes, ${settings.slowCloseBytes}`)
  }
  if (settings.socketByteBurst < settings.maxFrameBytes) {
    refuse("socketByteBurst", `must hold at least one frame of ${settings.maxFrameBytes} bytes`)
  }
  for (const range of settings.trustedProxies) {
    if (!isAddressRange(range))
      refuse("trustedProxies", `${JSON.stringify(range)} is neither an address nor a CIDR range`)
  }
}

/** The setting that was probably meant. */
function suggestion(key: string): string {
  const plain = (name: string): string => name.replaceAll(/[-_]/g, "").toLowerCase()
  const near = Object.keys(settingCatalog).find(
    (known) => plain(known) === plain(key) || plain(known).startsWith(plain(key)),
  )
  return near === undefined ? "; see --help" : `: did you mean ${JSON.stringify(near)}?`
}
