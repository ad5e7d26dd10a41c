import { existsSync } from "node:fs"
import { delimiter, join } from "node:path"

/** Where installers put a browser on this platform, best first; names without a slash are looked up in PATH. */
const CHROMIUM_PLACES: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "/snap/bin/chromium",
  ],
  darwin: [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
  ],
  win32: windowsPlaces([
    "Google\\Chrome\\Application\\chrome.exe",
    "Chromium\\Application\\chrome.exe",
    "Microsoft\\Edge\\Application\\msedge.exe",
  ]),
}

const FIREFOX_PLACES: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: ["firefox-esr", "firefox", "/snap/bin/firefox"],
  darwin: ["/Applications/Firefox.app/Contents/MacOS/firefox"],
  win32: windowsPlaces(["Mozilla Firefox\\firefox.exe"]),
}

/** Path of an installed Chromium, Chrome or Edge; `CHROMIUM_PATH` overrides it. */
export function findChromium(): string | null {
  return process.env["CHROMIUM_PATH"] ?? firstInstalled(CHROMIUM_PLACES)
}

/** Path of an installed Firefox; `FIREFOX_PATH` overrides it. */
export function findFirefox(): string | null {
  return process.env["FIREFOX_PATH"] ?? firstInstalled(FIREFOX_PLACES)
}

/** Path of a program in PATH, or null. */
export function findProgram(name: string): string | null {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, name)
    if (folder !== "" && existsSync(path)) return path
  }
  return null
}

function firstInstalled(places: Partial<Record<NodeJS.Platform, readonly string[]>>): string | null {
  for (const place of places[process.platform] ?? []) {
    const path = /[\\/]/.test(place) ? place : findProgram(place)
    if (path !== null && existsSync(path)) return path
  }
  return null
}

function windowsPlaces(tails: readonly string[]): readonly string[] {
  const roots = ["PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"]
  return roots.flatMap((root) => tails.map((tail) => join(process.env[root] ?? "C:\\", tail)))
}
