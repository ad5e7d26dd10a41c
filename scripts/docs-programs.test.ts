import { expect, test } from "vitest"
import { programsOf } from "./docs-programs.ts"

test("a program is a fence and what continues it", () => {
  const markdown = [
    "# Guide",
    "```ts run",
    "const a = 1",
    "```",
    "Words.",
    "```ts continues",
    "console.log(a)",
    "```",
    "```sh",
    "npm start",
    "```",
    "```ts",
    "export {}",
    "```",
  ].join("\n")
  expect(programsOf("docs/guides/a.md", markdown)).toEqual([
    {
      page: "docs/guides/a.md",
      line: 2,
      name: "a-1",
      kind: "runs",
      language: "ts",
      code: "const a = 1\n\nconsole.log(a)\n",
    },
    {
      page: "docs/guides/a.md",
      line: 12,
      name: "a-2",
      kind: "compiles",
      language: "ts",
      code: "export {}\n",
    },
  ])
})

test("a page of a package goes by the name of the package, and may show elements", () => {
  expect(programsOf("packages/react/README.md", "```tsx page\n<p />\n```")).toEqual([
    {
      page: "packages/react/README.md",
      line: 1,
      name: "package-react-1",
      kind: "page",
      language: "tsx",
      code: "<p />\n",
    },
  ])
})

test("words that mean nothing are refused, as is a program that continues none", () => {
  expect(() => programsOf("a.md", "```ts rnu\n```")).toThrow('a.md:1: "ts rnu" means nothing here.')
  expect(() => programsOf("a.md", "```ts continues\n```")).toThrow("no program to continue")
})
