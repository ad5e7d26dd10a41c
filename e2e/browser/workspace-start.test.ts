import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"
import { reportTime } from "../workspace/report.ts"
import { openPerson } from "../workspace/workspace-page.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))

test("one command builds, serves, says where, and stops on Ctrl+C", async () => {
  const started = performance.now()
  const { NODE_ENV: _, ...env } = process.env
  const command = ["--conditions=@dunlin/source", "--import", "tsx", "apps/workspace/start.ts"]
  const child = spawn(process.execPath, command, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] })
  const output: string[] = []
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.on("data", (data: Buffer) => output.push(String(data)))
    child.stdout.on("data", (data: Buffer) => {
      output.push(String(data))
      const found = /http:\/\/localhost:\d+\//.exec(output.join(""))
      if (found) resolve(found[0])
    })
    child.once("exit", (code) => reject(new Error(`It ended with ${code}: ${output.join("")}`)))
  })
  try {
    const ada = await openPerson(url)
    await ada.page.getByText("A workspace that lives on your devices").waitFor()
    reportTime("first screen after the command", performance.now() - started, 60_000)
    await ada.page.waitForTimeout(2_500)
    expect(ada.errors).toEqual([])
    expect(output.join("")).toMatch(/second browser or a private window/)
    await ada.close()
  } finally {
    child.removeAllListeners("exit")
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve))
    child.kill("SIGINT")
    expect(await ended).toBe(0)
  }
})
