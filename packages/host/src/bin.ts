#!/usr/bin/env node
import { readFileSync } from "node:fs"
import { gatherSettings } from "./gather-settings.ts"
import { helpText } from "./help-text.ts"
import { HostError } from "./host-error.ts"
import { parseSettings } from "./parse-settings.ts"
import { type Host, startHost } from "./start-host.ts"

const defaults = { logLevel: "info" } as const

try {
  const invocation = gatherSettings(process.argv.slice(2), process.env)
  switch (invocation.type) {
    case "help":
      console.log(helpText(defaults))
      break
    case "version":
      console.log(version())
      break
    case "run":
      endWithSignals(await startHost(parseSettings({ ...defaults, ...invocation.raw }, invocation.source)))
  }
} catch (error) {
  if (!(error instanceof HostError)) throw error
  console.error(`dunlin-host: ${error.message}`)
  process.exitCode = 1
}

function endWithSignals(host: Host): void {
  // Standard output belongs to the log.
  console.error(`Dunlin host: ${host.url}`)
  if (host.operationsUrl !== null) console.error(`Health and metrics: ${host.operationsUrl}/metrics`)
  let asked = false
  const end = (): void => {
    // A second signal means: close now.
    void (asked ? host.close() : host.drain())
    asked = true
  }
  process.on("SIGTERM", end)
  process.on("SIGINT", end)
  process.on("SIGHUP", () => {
    try {
      host.reloadTls()
    } catch (error) {
      console.error(`dunlin-host: the certificate stays as it is: ${String(error)}`)
    }
  })
}

function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8")
  return (JSON.parse(text) as { version: string }).version
}
