import { execFile } from "node:child_process"
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { ROOT } from "./run-step.ts"

/** Maps files to lines that break a rule there. Each must be reported, and by the rule named. */
const VIOLATIONS: readonly (readonly [file: string, line: string, rule: string])[] = [
  ["core/src/protocol/a.ts", `import "../ports/clock.ts"`, "no-restricted-imports"],
  ["core/src/protocol/register/a.ts", `import "../../room/room.ts"`, "no-restricted-imports"],
  ["core/src/protocol/b.ts", `import "node:fs"`, "no-restricted-imports"],
  ["core/src/protocol/c.ts", `import "rxjs"`, "no-restricted-imports"],
  ["core/src/protocol/d.ts", `import "@dunlin/loro"`, "no-restricted-imports"],
  ["core/src/protocol/e.ts", `export const e = (): number => Date.now()`, "no-restricted-globals"],
  ["core/src/protocol/f.ts", `export const f = (): number => Math.random()`, "no-restricted-properties"],
  ["core/src/protocol/g.ts", `setTimeout(() => undefined, 1)`, "no-restricted-globals"],
  ["core/src/protocol/h.ts", `export const h = (): number => performance.now()`, "no-restricted-globals"],
  [
    "core/src/ports/a.ts",
    `import type { A } from "../room/room.ts"; export type B = A`,
    "no-restricted-imports",
  ],
  ["core/src/crypto/a.ts", `import "../webrtc/index.ts"`, "no-restricted-imports"],
  ["core/src/crypto/b.ts", `import "node:crypto"`, "no-restricted-imports"],
  ["core/src/webrtc/a.ts", `import "../room/room.ts"`, "no-restricted-imports"],
  ["core/src/tabs/a.ts", `import "../webrtc/index.ts"`, "no-restricted-imports"],
  ["core/src/signaling/a.ts", `import "../room/room.ts"`, "no-restricted-imports"],
  ["core/src/room/a.ts", `import "../webrtc/index.ts"`, "no-restricted-imports"],
  ["core/src/room/b.ts", `import "../testing/index.ts"`, "no-restricted-imports"],
  ["core/src/testing/a.ts", `import "../webrtc/index.ts"`, "no-restricted-imports"],
  ["core/src/room/c.ts", `import "@dunlin/rxdb"`, "no-restricted-imports"],
  ["core/src/room/d.ts", `import "../../../../sim/main.ts"`, "no-restricted-imports"],
  ["rxdb/src/a.ts", `import "@dunlin/loro"`, "no-restricted-imports"],
  ["rxdb/src/b.ts", `import "../../core/src/index.ts"`, "no-restricted-imports"],
  ["loro/src/a.ts", `import "@dunlin/react/loro"`, "no-restricted-imports"],
  ["loro/src/b.ts", `import "node:fs"`, "no-restricted-imports"],
  ["host/src/a.ts", `import "@dunlin/rxdb"`, "no-restricted-imports"],
  ["host/src/b.ts", `import "../../../bench/main.ts"`, "no-restricted-imports"],
  ["react/src/a.tsx", `import "@dunlin/loro"`, "no-restricted-imports"],
  ["react/src/b.ts", `import "@dunlin/workspace"`, "no-restricted-imports"],
  ["core/src/room/e.ts", `console.log("loud")`, "no-console"],
  ["core/src/room/f.ts", `export default 1`, "no-default-export"],
  ["core/src/room/g.ts", `export const g: any = 1`, "no-explicit-any"],
  ["core/src/room/h.ts", `import "./i.ts"; export const h = 1`, "no-cycle"],
]

/** What must remain allowed. */
const ALLOWED: readonly (readonly [file: string, line: string])[] = [
  ["core/src/protocol/ok.ts", `import "@noble/hashes/sha2.js"`],
  ["core/src/protocol/register/ok.ts", `import "../byte-reader.ts"`],
  ["core/src/protocol/ok.test.ts", `import "vitest"; import "node:fs"; setTimeout(() => undefined, 1)`],
  ["core/src/ports/ok.ts", `import type { A } from "../protocol/a.ts"; export type B = A`],
  ["core/src/webrtc/ok.ts", `import "../signaling/index.ts"; import "../crypto/envelope.ts"`],
  ["core/src/room/ok.ts", `import "../crypto/invite.ts"`],
  ["core/src/testing/ok.ts", `import "../room/room.ts"`],
  ["react/src/loro/ok.ts", `import "@dunlin/loro"; import "@dunlin/core"`],
  ["loro/src/lmdb/ok.ts", `import "node:fs"`],
  ["host/src/bin.ts", `import "node:http"; console.log("listening")`],
]

let folder: string
let found: ReadonlyMap<string, readonly string[]>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dunlin-lint-"))
  await cp(join(ROOT, ".oxlintrc.json"), join(folder, ".oxlintrc.json"))
  await plant("core/src/room/i.ts", `import "./h.ts"; export const i = 1`)
  for (const [file, line] of [...VIOLATIONS, ...ALLOWED]) await plant(file, line)
  found = await lint()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test.each(VIOLATIONS)("%s: %s is refused by %s", (file, _line, rule) => {
  expect(found.get(file)?.some((code) => code.includes(rule))).toBe(true)
})

test.each(ALLOWED)("%s: %s is fine", (file) => {
  expect(found.get(file) ?? []).toEqual([])
})

async function plant(file: string, line: string): Promise<void> {
  const path = join(folder, "packages", file)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, `${line}\n`)
}

const BIN = join(ROOT, "node_modules/.bin")

/** Rule codes by file, with the path relative to `packages`. */
async function lint(): Promise<ReadonlyMap<string, readonly string[]>> {
  const oxlint = join(ROOT, "node_modules/oxlint/bin/oxlint")
  const report = await new Promise<string>((resolve, reject) => {
    execFile(
      process.execPath,
      [oxlint, "--format", "json", "packages"],
      // oxlint looks for its type-aware part next to the files, and in PATH.
      {
        cwd: folder,
        maxBuffer: 1 << 26,
        env: { ...process.env, PATH: `${BIN}${delimiter}${process.env["PATH"]}` },
      },
      // Findings end oxlint with a non-zero code, which is what this test wants.
      (error, stdout) =>
        stdout === "" ? reject(error ?? new Error("oxlint said nothing.")) : resolve(stdout),
    )
  })
  const { diagnostics } = JSON.parse(report) as { diagnostics: { filename: string; code: string }[] }
  const codes = new Map<string, string[]>()
  for (const { filename, code } of diagnostics) {
    const file = filename.replaceAll("\\", "/").replace(/^.*?packages\//, "")
    codes.set(file, [...(codes.get(file) ?? []), code])
  }
  return codes
}
