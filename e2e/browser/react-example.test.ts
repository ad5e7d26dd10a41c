import { mkdir, writeFile } from "node:fs/promises"
import { fileURLToPath, pathToFileURL } from "node:url"
import { afterAll, expect, test } from "vitest"
import { readDocsPrograms } from "../../scripts/docs-programs.ts"
import { createHarness } from "./harness.ts"

const harness = createHarness()
afterAll(() => harness.close())

test("the example of @dunlin/react: two devices write one note and count each other", async () => {
  const [program] = readDocsPrograms(fileURLToPath(new URL("../..", import.meta.url))).filter(
    ({ page }) => page === "packages/react/README.md",
  )
  if (program === undefined) throw new Error("The page of @dunlin/react has no program.")
  const folder = fileURLToPath(new URL("../../.cache/react-example/", import.meta.url))
  await mkdir(folder, { recursive: true })
  const { url } = await harness.host()
  const entry = `${folder}example.tsx`
  await writeFile(entry, `${program.code.replaceAll("wss://signal.example.org", url)}\nexport {}\n`)
  const site = await harness.site(pathToFileURL(entry))

  const ada = await (await harness.chromium()).open(site)
  const words = await ada.page.getByText("Invite others: ").innerText()
  const ben = await (await harness.chromium()).open(site, words.slice(words.indexOf("#")))
  for (const { page } of [ada, ben]) {
    await page.getByText("2 here.").waitFor()
    expect(new URL(page.url()).hash).toBe("")
  }
  await ada.page.getByLabel("Note").fill("Seen from the hide")
  await ben.page.getByText("18 characters").waitFor()
  expect(await ben.page.getByLabel("Note").inputValue()).toBe("Seen from the hide")
  await ben.page.getByLabel("Note").press("End")
  await ben.page.keyboard.type(", twice")
  await ada.page.getByText("25 characters").waitFor()
  await ben.page.close()
  await ada.page.getByText("1 here.").waitFor()
  expect(ada.output().filter((line) => /^(error|uncaught)/.test(line))).toEqual([])
})
