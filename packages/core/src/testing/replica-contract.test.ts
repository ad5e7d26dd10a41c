import { describe, expect, test } from "vitest"
import type { Replica } from "../ports/replica.ts"
import { createMemoryReplica, type MemoryCollection } from "./memory-replica.ts"
import { replicaContract, type ReplicaSubject } from "./replica-contract.ts"

const subject: ReplicaSubject<MemoryCollection> = {
  create: () => createMemoryReplica({ name: "things" }),
  write: async (things, key, value) => void (await things.set(key, { value })),
}

describe("the memory replica", () => {
  for (const { name, run } of replicaContract(subject)) test(name, run)
})

describe("the contract notices a replica that", () => {
  const breaking = async (
    breach: (replica: Replica<MemoryCollection>) => Replica<MemoryCollection>,
  ): Promise<readonly string[]> => {
    const broken = { ...subject, create: async () => breach(await subject.create()) }
    const noticed: string[] = []
    for (const { name, run } of replicaContract(broken)) await run().catch(() => noticed.push(name))
    return noticed
  }
  const withAttached =
    (change: (attached: Awaited<ReturnType<Replica<MemoryCollection>["attach"]>>) => object) =>
    (replica: Replica<MemoryCollection>): Replica<MemoryCollection> => ({
      ...replica,
      async attach(host, options) {
        const attached = await replica.attach(host, options)
        return { ...attached, ...change(attached) }
      },
    })

  test("never says what the sender lacks", async () => {
    const noticed = await breaking(
      withAttached((attached) => ({
        join: async (...args: Parameters<typeof attached.join>) =>
          (await attached.join(...args)).map((one) =>
            "senderLacks" in one ? { ...one, senderLacks: null } : one,
          ),
      })),
    )
    expect(noticed).toEqual(["concurrent changes join to one state, and whoever lacks something is told"])
  })

  test("attaches with another handle than it stood by with", async () => {
    const noticed = await breaking((replica) => ({
      ...replica,
      async attach(host, options) {
        const attached = await replica.attach(host, options)
        options?.standBy?.({ handle: { ...attached.handle }, synced: (wait) => host.synced(wait) })
        return attached
      },
    }))
    expect(noticed).toEqual(["if it stood by, it did so once, and with the handle that it attached with"])
  })

  test("reports what it joined", async () => {
    const noticed = await breaking((replica) => ({
      ...replica,
      async attach(host, options) {
        const attached = await replica.attach(host, options)
        return {
          ...attached,
          async join(...args) {
            const outcomes = await attached.join(...args)
            host.changed(args[0].map(({ key }) => ({ key, stateHash: null, before: null })))
            return outcomes
          },
        }
      },
    }))
    expect(noticed).toContain("what was joined is not reported as a change")
  })

  test("forgets entries in a scan", async () => {
    const noticed = await breaking(
      withAttached(() => ({
        async *scan() {
          yield { entries: [], cursor: new Uint8Array() }
        },
      })),
    )
    expect(noticed.length).toBeGreaterThan(1)
  })
})
