import { expect, test } from "vitest"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { timeUntil, WAIT_MS } from "../workspace/workspace-page.ts"

const workspace = testWorkspace()
const { person } = workspace

test("no server: everything works, and a grey line says what is missing", async () => {
  await workspace.server.stopSignaling()
  const ada = await person()
  await ada.newDocument("Alone")
  await ada.editor().click()
  await ada.page.keyboard.type("kept")
  await timeUntil("the note", async () => (await ada.sync()) === "Can’t find other devices, retrying")
  await ada.goto("/people")
  await ada.page.getByText(/Everything is saved on this device and works/).waitFor()
  expect(await ada.page.getByRole("alert").count()).toBe(0)
  await ada.page.reload()
  await ada.goto("/documents")
  await ada.openDocument("Alone")
  await timeUntil("the text is kept", async () => (await ada.text()) === "kept")
})

test("a wrong invite: says so and leaves the own workspace open", async () => {
  const ada = await person()
  await ada.newDocument("Mine")
  const link = await ada.invite()
  await ada.page.goto(link.slice(0, -20))
  await ada.page.getByText("That invite link is not complete.").waitFor()
  await ada.page.getByText(/Ask for the link again and copy all of it/).waitFor()
  await ada.page.locator(".row", { hasText: "Mine" }).waitFor()
  expect(ada.page.url()).not.toContain(link.split("#")[1]?.slice(0, 20))
  await ada.page.getByRole("button", { name: "Dismiss" }).click()
  expect(await ada.page.getByText("That invite link").count()).toBe(0)
})

test("an invite of a newer version: says to reload, and keeps what is there", async () => {
  const ada = await person()
  await ada.newDocument("Mine")
  const bytes = Buffer.from((await ada.invite()).split("#")[1] ?? "", "base64url")
  bytes[0] = 2
  await ada.page.goto(`${workspace.server.url}#${bytes.toString("base64url")}`)
  await ada.page.getByText("That invite needs a newer version of Dunlin.").waitFor()
  await ada.page.getByText(/Reload this page to get the newest version/).waitFor()
  await ada.page.locator(".row", { hasText: "Mine" }).waitFor()
})

test("a screen whose code is gone, as after an update: says so, and the other screens work", async () => {
  const ada = await person(workspace.server.url, async (context) => {
    await context.addInitScript(() =>
      Object.defineProperty(Navigator.prototype, "serviceWorker", { value: undefined }),
    )
    for (const gone of ["**/assets/board-screen*", "**/assets/palette*"])
      await context.route(gone, (route) => route.fulfill({ status: 404, body: "gone" }))
  })
  await ada.newDocument("Here")
  await ada.goto("/board")
  await ada.page.getByText("This screen could not be shown.").waitFor()
  await ada.page.getByRole("button", { name: "Reload" }).waitFor()
  await ada.goto("/documents")
  await ada.page.locator(".row", { hasText: "Here" }).waitFor()
  expect(await ada.page.getByText("could not be shown").count()).toBe(0)
  for (let time = 0; time < 2; time++) {
    await ada.page.keyboard.press("Control+k")
    await ada.page.getByText("That could not be shown.").nth(time).waitFor()
  }
  await ada.openDocument("Here")
})

test("storage refused: works until the tab closes, and says so", async () => {
  const ada = await person(workspace.server.url, (context) =>
    context.addInitScript(() => {
      const refuse = (): never => {
        throw new DOMException("The operation is insecure.", "SecurityError")
      }
      Object.defineProperty(IDBFactory.prototype, "open", { value: refuse })
      Object.defineProperty(globalThis, "localStorage", { get: refuse })
    }),
  )
  await ada.page.getByText("This browser refuses to store data.").waitFor()
  await ada.page.getByText(/or export before you leave/).waitFor()
  expect(await ada.sync()).toBe("Not saved")
  await ada.newDocument("Fleeting")
  await ada.editor().click()
  await ada.page.keyboard.type("still typed")
  expect(await ada.text()).toBe("still typed")
  await ada.page.waitForTimeout(1_000)
  await ada.page.getByText("This browser refuses to store data.").waitFor()
  const ben = await person(await ada.invite())
  await ben.openDocument("Fleeting")
  await timeUntil("it syncs all the same", async () => (await ben.text()) === "still typed")
})

test("storage full: what was typed stays on the screen and is saved when there is room", async () => {
  const ada = await person()
  await ada.newDocument("Before")
  await ada.page.evaluate(() => {
    const original = { add: IDBObjectStore.prototype.add, put: IDBObjectStore.prototype.put }
    const full = (): never => {
      throw new DOMException("The quota has been exceeded.", "QuotaExceededError")
    }
    Object.assign(IDBObjectStore.prototype, { add: full, put: full })
    Object.assign(globalThis, { makeRoom: () => Object.assign(IDBObjectStore.prototype, original) })
  })
  await ada.page.getByRole("textbox", { name: "Title" }).fill("After")
  await ada.page.getByText("The storage of this device is full.").waitFor()
  expect(await ada.page.getByRole("textbox", { name: "Title" }).inputValue()).toBe("After")
  await ada.page.evaluate(() => (globalThis as unknown as { makeRoom(): void }).makeRoom())
  await ada.page.getByRole("textbox", { name: "Title" }).press("End")
  await ada.page.keyboard.type("wards")
  await ada.page.locator(".row", { hasText: "Afterwards" }).waitFor()
  await timeUntil(
    "the notice goes",
    async () => (await ada.page.getByText("The storage of this device is full.").count()) === 0,
  )
})

test("storage full while a text is written: says so, keeps the words, and stores them when there is room", async () => {
  const ada = await person()
  await ada.newDocument("Tides")
  await ada.page.waitForTimeout(2_000)
  await ada.page.evaluate(() => {
    const original = { add: IDBObjectStore.prototype.add, put: IDBObjectStore.prototype.put }
    Object.assign(IDBObjectStore.prototype, {
      add() {
        throw new DOMException("The quota has been exceeded.", "QuotaExceededError")
      },
      put() {
        throw new DOMException("The quota has been exceeded.", "QuotaExceededError")
      },
    })
    Object.assign(globalThis, { makeRoom: () => Object.assign(IDBObjectStore.prototype, original) })
  })
  await ada.editor().click()
  await ada.page.keyboard.type("Written on a full disk")
  await ada.page.getByText("The storage of this device is full.").waitFor()
  expect(await ada.sync()).toBe("Not saved")
  expect(await ada.text()).toBe("Written on a full disk")
  await ada.page.evaluate(() => (globalThis as unknown as { makeRoom(): void }).makeRoom())
  await timeUntil("the notice goes by itself", async () => (await ada.sync()) === "Saved on this device")
  await ada.page.reload()
  await timeUntil("the words are there", async () => (await ada.text()) === "Written on a full disk")
})

test("storage that never answers: says what may hold it", async () => {
  const ada = await person()
  await ada.newDocument("Mine")
  await ada.page.addInitScript(() => {
    const { open } = IDBFactory.prototype
    Object.defineProperty(IDBFactory.prototype, "open", {
      value(this: IDBFactory, name: string, version?: number) {
        const isHeld = name.includes("rxdb") && sessionStorage.getItem("held") !== "no"
        // A request without an answer, as while another tab holds an older version.
        return isHeld ? new EventTarget() : open.call(this, name, version)
      },
    })
  })
  await ada.page.reload()
  await ada.page.getByText("This takes longer than it should.").waitFor()
  await ada.page.evaluate(() => sessionStorage.setItem("held", "no"))
  await ada.page.getByRole("button", { name: "Reload" }).click()
  await ada.page.locator(".row", { hasText: "Mine" }).waitFor()
})

test("Loro does not load: list and board work, the text is shown, and a retry helps", async () => {
  const ada = await person()
  await ada.newDocument("Readable")
  await ada.editor().click()
  await ada.page.keyboard.type("as last seen")
  await ada.page.waitForTimeout(3_000)
  await ada.page.addInitScript(() => {
    const { fetch } = globalThis
    globalThis.fetch = (input, init) => {
      const blocked =
        (input instanceof Request ? input.url : `${input}`).endsWith(".wasm") &&
        sessionStorage.getItem("blocked") !== "no"
      return blocked ? Promise.reject(new TypeError("Failed to fetch")) : fetch(input, init)
    }
  })
  await ada.page.reload()
  await ada.page.locator(".row", { hasText: "Readable" }).click()
  await ada.page.getByText("The text cannot be edited right now.").waitFor()
  await ada.page.getByText("as last seen", { exact: true }).first().waitFor()
  await ada.goto("/board")
  await ada.addTask("Works")
  await ada.goto("/documents")
  await ada.page.locator(".row", { hasText: "Readable" }).click()
  // The page also tries by itself: the button stays only if that fails.
  await ada.page.getByText("The text cannot be edited right now.").waitFor()
  await ada.page.evaluate(() => sessionStorage.setItem("blocked", "no"))
  await ada.page.getByRole("button", { name: "Try again" }).click()
  await ada.editor().waitFor()
  await expect.poll(() => ada.text(), { timeout: WAIT_MS }).toBe("as last seen")
})

test("a peer with another version of the app: both are told, and nothing is mixed", async () => {
  const ada = await person()
  await ada.goto("/board")
  await ada.addTask("Only in this version")
  const ben = await person(await ada.invite(), (context) =>
    context.route("**/assets/*.js", async (route) => {
      const response = await route.fetch()
      const body = await response.text()
      // The next version of the application has a different schema for tasks.
      await route.fulfill({
        response,
        body: body.replace(
          /(title:(["'`])tasks\2,version:0,.{0,60}?properties:\{)/,
          "$1due:{type:$2number$2},",
        ),
      })
    }),
  )
  for (const one of [ada, ben]) {
    await one.goto("/people")
    await one.page.getByText("Someone here uses another version of this app.").waitFor()
    await one.page.getByText(/tasks wait for an update/).waitFor()
    await one.page.getByText(/Reload the page on both devices to update/).waitFor()
  }
  await ben.goto("/board")
  await ben.addTask("Only in the next version")
  expect(await ben.card("Only in this version").count()).toBe(0)
  // Collections on which both versions agree are still shared.
  await ada.goto("/documents")
  await ada.newDocument("For both")
  await ben.goto("/documents")
  await ben.page.locator(".row", { hasText: "For both" }).waitFor()
})

test("a clock that is a day off: syncs, merges by what was seen, and is named", async () => {
  const ada = await person()
  await ada.goto("/board")
  await ada.addTask("Written on time")
  const ben = await person(await ada.invite(), (context) =>
    context.addInitScript(() => {
      const now = Date.now.bind(Date)
      Date.now = () => now() - 86_400_000
    }),
  )
  await ben.goto("/board")
  await ben.card("Written on time").locator(".card-face").click()
  await ben.page.getByRole("dialog").getByRole("textbox", { name: "Title" }).fill("Corrected a day earlier")
  await ben.page.getByRole("button", { name: "Done" }).click()
  // By its clock, this change is older than what it replaces.
  await ada.card("Corrected a day earlier").waitFor()
  await ada.goto("/people")
  await ada.page.getByText(/clock is 24 hours behind of yours|clock is 1 days behind/).waitFor()
})

test("hostile names and texts are shown as text", async () => {
  const hostile = `<img src=x onerror="document.title='owned'">\u202Egnp.exe`
  const ada = await person()
  await ada.goto("/settings")
  await ada.page.getByRole("textbox", { name: "Name, as others see it" }).fill(hostile)
  await ada.goto("/documents")
  await ada.newDocument(hostile)
  await ada.editor().click()
  await ada.page.keyboard.type("<script>document.title='owned'</script> [x](javascript:alert(1))")
  const ben = await person(await ada.invite())
  await ben.page.locator(".row").first().click()
  await timeUntil("the text", async () => (await ben.text()).startsWith("<script>"))
  await ben.goto("/people")
  await ben.page.locator(".person", { hasText: "<img src=x" }).first().waitFor()
  expect(await ben.page.locator("img[src=x]").count()).toBe(0)
  expect(await ben.page.title()).not.toBe("owned")
  expect(await ben.page.locator("a[href^='javascript:']").count()).toBe(0)
})
