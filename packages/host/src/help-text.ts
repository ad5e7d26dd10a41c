import { flagOf, type Setting, settingCatalog, type SettingSection, variableOf } from "./setting-catalog.ts"

const WIDTH = 100
const INDENT = " ".repeat(6)

/** `dunlin-host --help`: every setting, from the catalogue. */
export function helpText(defaults: Readonly<Record<string, unknown>>): string {
  const bySection = new Map<SettingSection, string[]>()
  for (const [key, setting] of Object.entries(settingCatalog) as [string, Setting<unknown>][]) {
    const lines = bySection.get(setting.section) ?? []
    bySection.set(setting.section, [...lines, entry(key, setting, defaults[key] ?? setting.fallback)])
  }
  return [
    "dunlin-host: introduces Dunlin peers to each other, and learns nothing of what they share.",
    "",
    "  npx @dunlin/host                      works at once, in memory, on port 8787",
    "  npx @dunlin/host --port 9000 --origins https://app.example.org",
    "",
    wrap(
      "Every setting can be a flag (--max-sockets 500), an environment variable (DUNLIN_MAX_SOCKETS=500) " +
        'or a line of a JSON file ({ "maxSockets": 500 }) named by --config or DUNLIN_CONFIG. ' +
        "Flags win over variables, variables over the file.",
      "",
    ),
    ...[...bySection].flatMap(([section, entries]) => ["", section, ...entries]),
    "",
    "  --config FILE",
    `${INDENT}settings as JSON`,
    "  --help, --version",
    "",
  ].join("\n")
}

function entry(key: string, setting: Setting<unknown>, fallback: unknown): string {
  const name = setting.secret === true ? variableOf(key) : `--${flagOf(key)} ${kindOf(setting)}`
  const shown = Array.isArray(fallback) ? fallback.join(",") : String(fallback)
  return `  ${name}\n${wrap(setting.help + (shown === "" ? "" : ` [${shown}]`), INDENT)}`
}

function kindOf(setting: Setting<unknown>): string {
  if (typeof setting.fallback === "number") return "N"
  return Array.isArray(setting.fallback) ? "A,B" : "TEXT"
}

function wrap(text: string, indent: string): string {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(" ")) {
    if (line.length + word.length > WIDTH && line.trim() !== "") {
      lines.push(line.trimEnd())
      line = indent
    }
    line += `${word} `
  }
  return [...lines, line.trimEnd()].join("\n")
}
