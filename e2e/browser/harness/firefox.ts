import { inspect } from "node:util"
import puppeteer from "puppeteer-core"
import type { Browser } from "puppeteer-core"
import { attachTab } from "./browser-tab.ts"
import type { BrowserProfile } from "./browser-tab.ts"
import { findFirefox } from "./find-browser.ts"

export interface FirefoxProfile extends BrowserProfile {
  /** Gives access to what the harness does not wrap. */
  readonly browser: Browser
}

const PREFERENCES = {
  // Test peers in Node do not resolve `.local` names, and loopback is the only network they have.
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  "media.peerconnection.ice.loopback": true,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "app.update.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
}

/** Firefox through WebDriver BiDi, which needs no driver program. */
export async function launchFirefox(): Promise<FirefoxProfile> {
  const executablePath = findFirefox()
  if (executablePath === null) throw new Error("No Firefox found. Install one, or name it in FIREFOX_PATH.")
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    // Set by the window: to set a viewport, Puppeteer sends commands that the Firefox of a stable distribution lacks.
    defaultViewport: null,
    args: ["--width=1280", "--height=800"],
    extraPrefsFirefox: PREFERENCES,
    timeout: 120_000,
    protocolTimeout: 180_000,
  })
  return {
    browser,
    async open(site, hash = "") {
      const page = await browser.newPage()
      const output: string[] = []
      page.on("console", (message) => output.push(`${message.type()}: ${message.text()}`))
      page.on("pageerror", (error) => output.push(`uncaught: ${inspect(error)}`))
      await page.goto(`${site.url}${hash}`)
      return attachTab(
        {
          evaluate: (expression) => page.evaluate(expression),
          reload: () => page.reload(),
          close: () => page.close(),
        },
        output,
      )
    },
    close: () => browser.close(),
  }
}
