import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { settingCatalog } from "./setting-catalog.ts"

test("each setting says in an editor what it says in the help", () => {
  const source = readFileSync(new URL("host-settings.ts", import.meta.url), "utf8")
  for (const [name, { help, fallback }] of Object.entries(settingCatalog)) {
    const meaning = help
      .replace(/^[a-z]/, (first) => first.toUpperCase())
      .replace(" (separated by commas)", "")
    expect(source).toContain(
      `  /** ${meaning}. Default ${JSON.stringify(fallback)}. */\n  readonly ${name}: `,
    )
  }
})
