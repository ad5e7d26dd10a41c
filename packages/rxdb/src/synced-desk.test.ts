import { ReplicaError, type ReplicaHost, RoomError, systemRandom } from "@dunlin/core"
import { createSimulatedTime } from "@dunlin/core/testing"
import { afterEach, describe, expect, test } from "vitest"
import { createSyncedDesk, type SyncedDesk } from "./synced-desk.ts"
import { createSyncedInquiry, type SyncedInquiry } from "./synced-inquiry.ts"
import { openTabChannel } from "./tab-channel.ts"
import { MAX_ASKED_KEYS } from "./tab-message.ts"

type Options = NonNullable<Parameters<ReplicaHost["synced"]>[0]>

/** A call of `synced()` in the tab that replicates. */
interface Wait {
  readonly options: Options
  resolve(): void
  reject(error: unknown): void
}

let count = 0
const endings: (() => void)[] = []
afterEach(() => {
  for (const end of endings.splice(0)) end()
})

/** Tabs that share a clock and exchange messages over a real `BroadcastChannel`. */
function createTabs() {
  const name = `dunlin-desk-test-${process.pid}-${count++}`
  const time = createSimulatedTime()
  const channel = () => {
    const opened = openTabChannel(name)
    endings.push(() => opened.close())
    return opened
  }
  return {
    time,
    channel,
    stranger: () => {
      const opened = new BroadcastChannel(name)
      endings.push(() => opened.close())
      return opened
    },
    desk(): SyncedDesk & { readonly waits: readonly Wait[] } {
      const waits: Wait[] = []
      const synced = (options: Options = {}): Promise<void> =>
        new Promise((resolve, reject) => {
          options.signal?.addEventListener("abort", () => reject(options.signal?.reason))
          waits.push({ options, resolve, reject })
        })
      return { waits, ...createSyncedDesk({ channel: channel(), clock: time.clock(), synced }) }
    },
    inquiry: (): SyncedInquiry =>
      createSyncedInquiry({ channel: channel(), clock: time.clock(), random: systemRandom() }),
  }
}

/** The outcome so far. */
function follow(asked: Promise<boolean>): { readonly outcome: unknown } {
  const followed: { outcome: unknown } = { outcome: "open" }
  asked.then(
    (isHeld) => (followed.outcome = isHeld ? "held" : "taken over"),
    (error: unknown) => (followed.outcome = error),
  )
  return followed
}

const eventually = (what: () => unknown) => expect.poll(what, { timeout: 20_000, interval: 5 })
/** Long enough for a message to arrive that should not come. */
const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100))
const patience = (): AbortController => new AbortController()

describe("a tab that asks the one that replicates", () => {
  test("has the answer when that has it, with the options it gave", async () => {
    const tabs = createTabs()
    const desk = tabs.desk()
    const inquiry = tabs.inquiry()
    const asked = follow(inquiry.ask({ peers: 2, keys: ["a"], session: "5e" }))
    await eventually(() => desk.waits).toHaveLength(1)
    expect(desk.waits[0]?.options).toEqual({ peers: 2, keys: ["a"], session: "5e" })
    await quiet()
    expect(asked.outcome).toBe("open")
    desk.waits[0]?.resolve()
    await eventually(() => asked.outcome).toBe("held")
  })

  test.each([
    ["very many keys", Array.from({ length: MAX_ASKED_KEYS + 1 }, (_, n) => `k${n}`)],
    ["a very long key", ["k".repeat(5_000)]],
  ])("asks for everything rather than for %s", async (_, keys) => {
    const tabs = createTabs()
    const desk = tabs.desk()
    void tabs
      .inquiry()
      .ask({ keys })
      .catch(() => undefined)
    await eventually(() => desk.waits[0]?.options).toEqual({})
  })

  test("rejects as that does", async () => {
    const tabs = createTabs()
    const desk = tabs.desk()
    const inquiry = tabs.inquiry()
    const codes = ["no-peers", "refused"] as const
    const failures = [
      ...codes.map((code) => new RoomError(code, `because ${code}`)),
      new Error("the disk is full"),
    ]
    const asked = failures.map(() => follow(inquiry.ask({})))
    await eventually(() => desk.waits).toHaveLength(failures.length)
    failures.forEach((failure, at) => desk.waits[at]?.reject(failure))
    await eventually(() => asked.map(({ outcome }) => outcome)).not.toContain("open")
    expect(asked.map(({ outcome }) => outcome)).toMatchObject([
      { name: "RoomError", code: "no-peers", message: "because no-peers" },
      { name: "RoomError", code: "refused", message: "because refused" },
      { name: "ReplicaError", code: "storage-failed", message: expect.stringContaining("the disk is full") },
    ])
  })

  test.each([-1, Number.NaN])("refuses %s peers at once, as that would", async (peers) => {
    const tabs = createTabs()
    const desk = tabs.desk()
    const inquiry = tabs.inquiry()
    for (const options of [{ peers }, { peers, signal: patience().signal }])
      await expect(inquiry.ask(options)).rejects.toMatchObject({ name: "RoomError", code: "invalid-option" })
    await quiet()
    expect(desk.waits).toEqual([])
  })

  test("asks once however often it says so, and asks the next one anew", async () => {
    const tabs = createTabs()
    const inquiry = tabs.inquiry()
    const asked = follow(inquiry.ask({ signal: patience().signal }))
    const first = tabs.desk()
    await eventually(() => first.waits).toHaveLength(1)
    await tabs.time.runFor(60_000)
    await quiet()
    expect(first.waits).toHaveLength(1)
    // It leaves: a wait for a withdrawn collection resolves, and must not count.
    first.close()
    first.waits[0]?.resolve()
    const second = tabs.desk()
    await eventually(() => second.waits).toHaveLength(1)
    expect(asked.outcome).toBe("open")
    second.waits[0]?.resolve()
    await eventually(() => asked.outcome).toBe("held")
  })

  test("asks again when the one that it asked closes amid the question", async () => {
    const tabs = createTabs()
    const desk = tabs.desk()
    const asked = follow(tabs.inquiry().ask({ signal: patience().signal }))
    await eventually(() => desk.waits).toHaveLength(1)
    for (const error of [new RoomError("closed", "closed"), new ReplicaError("replica-closed", "closed")]) {
      const before = desk.waits.length
      desk.waits.at(-1)?.reject(error)
      await quiet()
      await tabs.time.runFor(5_000)
      await eventually(() => desk.waits).toHaveLength(before + 1)
    }
    expect(asked.outcome).toBe("open")
  })

  test("gives up after half a minute of silence, and never with a signal", async () => {
    const tabs = createTabs()
    const inquiry = tabs.inquiry()
    const impatient = follow(inquiry.ask({}))
    const gone = patience()
    const patient = follow(inquiry.ask({ signal: gone.signal }))
    await tabs.time.runFor(29_000)
    await quiet()
    expect(impatient.outcome).toBe("open")
    await tabs.time.runFor(2_000)
    await eventually(() => impatient.outcome).toMatchObject({ name: "RoomError", code: "no-peers" })
    await tabs.time.runFor(600_000)
    await quiet()
    expect(patient.outcome).toBe("open")
    gone.abort(new Error("enough"))
    await eventually(() => patient.outcome).toMatchObject({ message: "enough" })
  })

  test("waits without a signal as long as it is heard", async () => {
    const tabs = createTabs()
    const desk = tabs.desk()
    const asked = follow(tabs.inquiry().ask({}))
    let heard = 0
    tabs.channel().listen(({ type }) => (heard += type === "heard" ? 1 : 0))
    for (let n = 0; n < 20; n++) {
      await tabs.time.runFor(5_000)
      await eventually(() => heard).toBeGreaterThan(n)
    }
    expect(desk.waits).toHaveLength(1)
    expect(asked.outcome).toBe("open")
    expect(desk.waits[0]?.options.signal).toBeUndefined()
  })

  test("sees to it itself once it has taken over, and rejects once it is closed", async () => {
    const tabs = createTabs()
    const heir = tabs.inquiry()
    const asked = follow(heir.ask({}))
    heir.takeOver()
    await eventually(() => asked.outcome).toBe("taken over")
    await expect(heir.ask({})).resolves.toBe(false)
    const leaving = tabs.inquiry()
    const left = follow(leaving.ask({}))
    leaving.close(new ReplicaError("replica-closed", "closed"))
    await eventually(() => left.outcome).toMatchObject({ code: "replica-closed" })
  })

  test("believes no other code of the origin", async () => {
    const tabs = createTabs()
    const asked = follow(tabs.inquiry().ask({}))
    const stranger = tabs.stranger()
    for (const data of [
      { type: "answer", id: "1f", outcome: { type: "held" } },
      { type: "answer", outcome: { type: "held" } },
      "held",
      null,
    ])
      stranger.postMessage(data)
    await quiet()
    expect(asked.outcome).toBe("open")
  })
})

describe("the tab that replicates", () => {
  test("waits no longer for a tab that asks no more", async () => {
    const tabs = createTabs()
    const desk = tabs.desk()
    const gone = patience()
    tabs
      .inquiry()
      .ask({ signal: gone.signal })
      .catch(() => undefined)
    const dying = tabs.channel()
    dying.post({ type: "ask", id: "of one that dies", question: { isPatient: true } })
    await eventually(() => desk.waits).toHaveLength(2)
    gone.abort()
    await eventually(() => desk.waits.map(({ options }) => options.signal?.aborted)).toEqual([true, false])
    await tabs.time.runFor(200_000)
    expect(desk.waits[1]?.options.signal?.aborted).toBe(true)
  })

  test("takes so many questions and no more", async () => {
    const tabs = createTabs()
    const desk = tabs.desk()
    const channel = tabs.channel()
    for (let n = 0; n < 400; n++) channel.post({ type: "ask", id: `${n}`, question: { isPatient: true } })
    await eventually(() => desk.waits).toHaveLength(256)
    await quiet()
    expect(desk.waits).toHaveLength(256)
    desk.waits[0]?.resolve()
    await quiet()
    channel.post({ type: "ask", id: "400", question: { isPatient: true } })
    await eventually(() => desk.waits).toHaveLength(257)
    // Those may wait for ever for a device; a question without a signal is answered all the same.
    channel.post({ type: "ask", id: "401", question: { isPatient: false } })
    await eventually(() => desk.waits).toHaveLength(258)
    desk.close()
  })

  test("lets those that it has no room for wait, who asked without a signal", async () => {
    const tabs = createTabs()
    const desk = tabs.desk()
    const inquiry = tabs.inquiry()
    const asked = Array.from({ length: 300 }, () => follow(inquiry.ask({})))
    let heard = 0
    tabs.channel().listen(({ type }) => (heard += type === "heard" ? 1 : 0))
    for (let round = 1; round <= 8; round++) {
      await tabs.time.runFor(5_000)
      await eventually(() => heard).toBeGreaterThanOrEqual(round * 300)
    }
    expect(asked.filter(({ outcome }) => outcome !== "open")).toEqual([])
    expect(desk.waits).toHaveLength(256)
    for (const wait of desk.waits) wait.resolve()
    await quiet()
    await tabs.time.runFor(5_000)
    await eventually(() => desk.waits).toHaveLength(300)
    for (const wait of desk.waits) wait.resolve()
    await eventually(() => asked.filter(({ outcome }) => outcome === "held")).toHaveLength(300)
  })
})
