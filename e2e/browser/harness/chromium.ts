import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { chromium } from "playwright-core"
import type { Browser, BrowserContext, Page } from "playwright-core"
import { attachTab } from "./browser-tab.ts"
import type { BrowserProfile, BrowserTab } from "./browser-tab.ts"
import { findChromium } from "./find-browser.ts"
import type { TestSite } from "./test-site.ts"

export interface ChromiumOptions {
  /** Folder of the profile, kept at close. Default: a fresh one that is deleted with the browser. */
  readonly profile?: string
  /** Hide local addresses behind `.local` names, as Chromium does for users. Default false. */
  readonly mdns?: boolean
  /** Linux network namespace to run in, by name. */
  readonly namespace?: string
  readonly args?: readonly string[]
  readonly headless?: boolean
}

export interface ChromiumProfile extends BrowserProfile {
  /** Gives access to what the harness does not wrap. */
  readonly context: BrowserContext
  /** Kills the browser without warning, as a crash does. */
  kill(): Promise<void>
  open<Exports>(site: TestSite, hash?: string): Promise<BrowserTab<Exports> & { readonly page: Page }>
}

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
]

/** A Chromium for tests that need no disk: its contexts start at once, and share only the process. */
export function launchSharedChromium(): Promise<Browser> {
  const args = [...ARGS, ...disabledFeatures({})]
  return chromium.launch({ executablePath: installedChromium(), headless: true, args })
}

export async function launchChromium(options: ChromiumOptions = {}): Promise<ChromiumProfile> {
  const installed = installedChromium()
  const own = await mkdtemp(join(tmpdir(), "dunlin-chromium-"))
  const executablePath =
    options.namespace === undefined ? installed : await namespaceWrapper(own, options.namespace, installed)
  const context = await chromium.launchPersistentContext(options.profile ?? join(own, "profile"), {
    executablePath,
    headless: options.headless ?? true,
    args: [...ARGS, ...disabledFeatures(options), ...(options.args ?? [])],
  })
  const removeOwn = (): Promise<void> => rm(own, { recursive: true, force: true, maxRetries: 5 })

  return {
    context,
    async open<Exports>(site: TestSite, hash = "") {
      const page = await context.newPage()
      const output: string[] = []
      page.on("console", (message) => output.push(`${message.type()}: ${message.text()}`))
      page.on("pageerror", (error) => output.push(`uncaught: ${error.stack ?? error.message}`))
      if (options.namespace !== undefined) await feed(page, site)
      await page.goto(`${site.url}${hash}`)
      return { page, ...(await attachTab<Exports>(page, output)) }
    },
    async kill() {
      const session = await context.newCDPSession(context.pages()[0] ?? (await context.newPage()))
      const closed = new Promise<void>((resolve) => context.once("close", () => resolve()))
      // The browser dies while answering, so the call may reject.
      await session.send("Browser.crash" as never).catch(() => undefined)
      await closed
      await removeOwn()
    },
    async close() {
      await context.close()
      await removeOwn()
    },
  }
}

function installedChromium(): string {
  const installed = findChromium()
  if (installed === null)
    throw new Error("No Chromium, Chrome or Edge found. Install one, or name it in CHROMIUM_PATH.")
  return installed
}

function disabledFeatures({ mdns, namespace }: ChromiumOptions): readonly string[] {
  const features = [
    // Test peers in Node do not resolve `.local` names.
    ...(mdns === true ? [] : ["WebRtcHideLocalIpsWithMdns"]),
    // An intercepted page has no address, so Chromium treats it as public and asks before it connects to 10.x.
    ...(namespace === undefined ? [] : ["LocalNetworkAccessChecks", "LocalNetworkAccessChecksWebSockets"]),
  ]
  return features.length === 0 ? [] : [`--disable-features=${features.join(",")}`]
}

/** A namespace cannot reach the test server, so every file of the site is served by interception. */
async function feed(page: Page, site: TestSite): Promise<void> {
  await page.route(`${site.url}**`, (route) => {
    const file = site.files.get(new URL(route.request().url()).pathname)
    return file === undefined
      ? route.fulfill({ status: 404 })
      : route.fulfill({ contentType: file.contentType, body: file.body })
  })
}

async function namespaceWrapper(folder: string, namespace: string, executable: string): Promise<string> {
  const wrapper = join(folder, "chromium-in-namespace")
  await writeFile(wrapper, `#!/bin/sh\nexec ip netns exec "${namespace}" "${executable}" "$@"\n`)
  await chmod(wrapper, 0o755)
  return wrapper
}
