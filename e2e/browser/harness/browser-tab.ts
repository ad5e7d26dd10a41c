import { nameCall, RemoteError, within } from "./remote-module.ts"
import type { RemoteModule } from "./remote-module.ts"

/** A page whose module has been loaded. */
export interface BrowserTab<Exports> extends RemoteModule<Exports> {
  /** Reloads the page, as a user does. */
  reload(): Promise<void>
}

/** A browser with a profile of its own, which shares nothing with other profiles but the network. */
export interface BrowserProfile {
  open<Exports>(site: { readonly url: string }, hash?: string): Promise<BrowserTab<Exports>>
  close(): Promise<void>
}

/** The part of a page that Playwright and Puppeteer share. */
export interface DrivenPage {
  evaluate(expression: string): Promise<unknown>
  reload(): Promise<unknown>
  close(): Promise<void>
}

/** Tests with pages may take 180 s. */
const CALL_LIMIT_MS = 170_000

const READY = `new Promise((resolve, reject) => {
  const deadline = Date.now() + 60000
  const look = () => {
    if (globalThis.testPage !== undefined) resolve()
    else if (Date.now() > deadline) reject(new Error("The test page did not load within 60 s."))
    else setTimeout(look, 20)
  }
  look()
})`

/** Waits for the page's module and makes its exports callable. */
export async function attachTab<Exports>(
  page: DrivenPage,
  output: readonly string[],
): Promise<BrowserTab<Exports>> {
  const told = (): string => (output.length === 0 ? "" : `\nThe page said:\n${output.slice(-20).join("\n")}`)
  const evaluate = async (expression: string, what: string): Promise<unknown> => {
    try {
      const late = async (): Promise<string> =>
        `The page did not answer ${what} within ${CALL_LIMIT_MS / 1000} s.`
      return await within(page.evaluate(expression), CALL_LIMIT_MS, late)
    } catch (error) {
      throw new RemoteError(`${error instanceof Error ? error.message : String(error)}${told()}`, {
        cause: error,
      })
    }
  }
  await evaluate(READY, "whether its module was loaded")
  return {
    output: () => output,
    async call(name, ...args) {
      // Passed as a string, because functions compiled by tsx refer to helpers that no page has.
      const result = await evaluate(
        `testPage[${JSON.stringify(name)}](...${JSON.stringify(args)})`,
        nameCall(name, args),
      )
      return result as never
    },
    async reload() {
      await page.reload()
      await evaluate(READY, "whether its module was loaded")
    },
    close: () => page.close(),
  }
}
