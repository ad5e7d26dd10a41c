import type { Browser, BrowserContext } from "playwright-core"
import { afterEach, beforeAll } from "vitest"
import { launchSharedChromium } from "../browser/harness/chromium.ts"
import { openPerson, type Person } from "./workspace-page.ts"
import { startWorkspaceServer, type WorkspaceServer } from "./workspace-server.ts"

/** What the tests of one file share. It starts before the first test, ends with the last, and is tidied in between. */
export interface TestWorkspace {
  /** Read it within a test: before the first one there is no server. */
  readonly server: WorkspaceServer
  /** Somebody with a profile of their own, kept in memory; they leave when the test ends. */
  person(address?: string, prepare?: (context: BrowserContext) => Promise<unknown>): Promise<Person>
  /** Somebody whose profile is on disk. */
  lastingPerson(): Promise<Person>
}

/** With several browsers, people are assigned to them in turn, so that no two devices share a process. */
export function testWorkspace({ browsers: count = 1 } = {}): TestWorkspace {
  let server: WorkspaceServer | null = null
  let browsers: readonly Browser[] = []
  const opened: Person[] = []

  beforeAll(async () => {
    server = await startWorkspaceServer()
    browsers = await Promise.all(Array.from({ length: count }, launchSharedChromium))
    return async () => {
      for (const browser of browsers) await browser.close()
      await server?.close()
    }
  })
  afterEach(async () => {
    await server?.startSignaling()
    for (const person of opened.splice(0)) await person.close()
  })

  function started(): WorkspaceServer {
    if (server === null)
      throw new Error("There is no server yet: read it in a test, where it has been started")
    return server
  }

  async function arrived(coming: Promise<Person>): Promise<Person> {
    const person = await coming
    opened.push(person)
    return person
  }

  return {
    get server() {
      return started()
    },
    person(address = started().url, prepare) {
      const browser = browsers[opened.length % browsers.length]
      return arrived(
        openPerson(address, { ...(browser === undefined ? {} : { browser }), ...(prepare && { prepare }) }),
      )
    },
    lastingPerson: () => arrived(openPerson(started().url)),
  }
}
