import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import { findChromium } from "./e2e/browser/harness/find-browser.ts"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/**
 * Real browsers, sockets and ICE on a shared machine miss a beat now and then. CI tries such a test once more, and the
 * report names what it tried again ("retry x1"); on your machine nothing is tried twice.
 */
const retry = process.env["CI"] === undefined ? 0 : 1

/**
 * Tests with peers, browsers and servers of their own mostly wait, so two files go at a time. More would only make each
 * other's browsers late, however many cores there are.
 */
const maxWorkers = 2

/**
 * Files of more than half a minute, the longest first. Begun last, one of them would keep everybody waiting. Those with
 * limits in real time stand where they do not run beside twenty processes that start.
 */
const LONGEST = [
  "e2e/browser/room-unsteady.test.ts",
  "e2e/browser/workspace.test.ts",
  "e2e/browser/rxdb-tabs.test.ts",
  "e2e/infra/room-cuts.test.ts",
  "e2e/infra/cluster.test.ts",
  "e2e/infra/network-faults.test.ts",
  "e2e/infra/turn-refresh.test.ts",
  "e2e/browser/workspace-access.test.ts",
  "e2e/browser/workspace-failures.test.ts",
  "e2e/browser/workspace-unsaved.test.ts",
  "e2e/browser/workspace-history.test.ts",
  "e2e/browser/workspace-delete.test.ts",
  "packages/host/test/limits.test.ts",
  "packages/core/test/hostile-signaling.test.ts",
  "e2e/node/large-room.test.ts",
  "packages/rxdb/test/purged-rows.test.ts",
  "packages/rxdb/test/modifiers.test.ts",
  "e2e/browser/workspace-solo.test.ts",
  "e2e/browser/rxdb-crash.test.ts",
  "e2e/browser/loro-store.test.ts",
  "e2e/browser/rooms-firefox.test.ts",
  "e2e/browser/rooms.test.ts",
  "e2e/browser/workspace-real-input.test.ts",
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((file) => moduleId.endsWith(file))
      return at === -1 ? LONGEST.length : at
    }
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b))
  }
}

/** With Firefox as the only browser, these files run; most others control the page by what Chromium alone offers. */
const browserTests =
  findChromium() === null ? ["e2e/browser/*-firefox.test.ts"] : ["e2e/browser/**/*.test.ts"]

const conditions = ["@dunlin/source", "module", "node", "import", "default"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    // The process that starts the workers has little to do itself.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    sequence: { sequencer: LongestFirst },
    // What hostile input makes a library print belongs to the report only where the test failed.
    silent: "passed-only",
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: [
            "packages/*/src/**/*.test.ts",
            "packages/*/src/**/*.test.tsx",
            "apps/*/src/**/*.test.ts",
            "scripts/**/*.test.ts",
          ],
        },
      },
      { extends: true, test: { name: "sim", include: ["sim/**/*.test.ts"], testTimeout: 600_000 } },
      {
        extends: true,
        test: {
          name: "node",
          retry,
          include: ["packages/*/test/**/*.test.ts", "e2e/node/**/*.test.ts"],
          testTimeout: 120_000,
          // Without browsers there is room for one more.
          maxWorkers: 3,
        },
      },
      {
        extends: true,
        test: {
          name: "browser",
          retry,
          include: browserTests,
          globalSetup: ["e2e/workspace/workspace-build.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          maxWorkers,
        },
      },
      {
        extends: true,
        test: {
          name: "infra",
          retry,
          include: ["e2e/infra/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Most of these wait for cuts to heal and for credentials to expire.
          maxWorkers: 3,
        },
      },
    ],
  },
})
