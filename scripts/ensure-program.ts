import { findProgram } from "../e2e/browser/harness/find-browser.ts"
import { runProgram } from "./run-step.ts"

/**
 * Looks for a program, and installs its Debian package if that needs nobody's permission. Resolves with null once the
 * program is there, otherwise with `advice`: a sentence that says what to do.
 */
export async function ensureProgram({
  find,
  aptPackage,
  advice,
}: {
  readonly find: () => string | null
  readonly aptPackage: string
  readonly advice: string
}): Promise<string | null> {
  if (find() !== null) return null
  if (findProgram("apt-get") === null || process.getuid?.() !== 0) return advice
  console.log(`Installing ${aptPackage} by apt-get.`)
  const options = { env: { DEBIAN_FRONTEND: "noninteractive" }, limitMs: 300_000 }
  const install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", aptPackage]
  // A fresh machine has no package lists; one that has them needs no update.
  if ((await runProgram(install, options)) !== 0) {
    await runProgram(["apt-get", "update", "-qq"], options)
    await runProgram(install, options)
  }
  return find() === null ? `${advice} (apt-get install ${aptPackage} did not install it.)` : null
}
