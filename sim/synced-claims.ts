import { type Dot, RoomError } from "@dunlin/core"
import type { DiskImage } from "@dunlin/core/testing"
import type { Device, Process, World } from "./device.ts"
import { isOnDisk } from "./lost-writes.ts"

/** Checks what `synced()` promises: all that was known at the call is on the disks of so many other devices when it resolves. */
export interface SyncedClaims {
  ask(device: Device, peers: number): void
  /** A device is about to lose what it held since its backup. Its peers may not have noticed yet that it is gone. */
  rollingBack(device: Device, session: string): void
  /** Asks all of these, at rest. The function that it returns names one that has had no answer by then. */
  askAll(askers: readonly Device[]): () => string | null
  /** A device that still runs and has had no answer to `ask`; null when all have one. */
  waiting(): Device | null
}

interface Loss {
  readonly key: string
  readonly session: string
  readonly image: DiskImage
}

type Known = readonly (readonly [document: string, dot: Dot])[]

/** `isTainted`: whether garbage went over a link of this session. */
export function createSyncedClaims(
  world: World,
  devices: readonly Device[],
  isTainted: (session: string) => boolean,
): SyncedClaims {
  const losses: Loss[] = []
  const open = new Map<Process, number>()
  const count = (process: Process, by: 1 | -1): void => void open.set(process, (open.get(process) ?? 0) + by)

  const known = ({ disk }: Device, { collection }: Process): Known => {
    const documents = new Set(world.history.writes.map(({ document }) => document))
    return [...documents].flatMap((document) =>
      (collection?.state(document)?.siblings ?? [])
        .filter(({ dot }) => isOnDisk(disk.image(), document, dot))
        .map(({ dot }) => [document, dot] as const),
    )
  }

  const check = (device: Device, process: Process, peers: number, asked: Known): void => {
    const linked = process.engine.links.get()
    const hasTwin = devices.some((other) => other !== device && other.key === device.key)
    const lacks = [
      ...devices
        .filter(({ key }) => key !== device.key)
        .map(({ index, key, disk }) => ({
          holder: `${index}`,
          key,
          lacking: missingFrom(disk.image(), asked),
        })),
      // A device to which only the twin is linked may have lost its disk after the twin answered.
      ...losses
        .filter(({ key, session }) => key !== device.key && (hasTwin || linked.has(session)))
        .map(({ key, session, image }) => ({ holder: session, key, lacking: missingFrom(image, asked) })),
    ]
    world.faults.count("synced-resolved")
    if (hasTwin) world.faults.count("synced-with-twin")
    const [closest] = lacks.toSorted((a, b) => a.lacking.length - b.lacking.length)
    const holding = new Set(lacks.flatMap(({ key, lacking }) => (lacking.length === 0 ? key : [])))
    if (holding.size >= peers) return
    // Garbage may refuse another entry and then acknowledge this one, so a hostile peer can claim what it does not hold.
    if (isTainted(process.session)) return world.trace(`${device.index} was told so by garbage`)
    const [document] = closest?.lacking[0] ?? []
    world.fail(
      `synced() of ${peers} resolved at ${device.index}, and only ${holding.size} other disks hold what it had: the closest, of ${closest?.holder}, lacks ${closest?.lacking.length}, the first in ${document}`,
    )
  }

  return {
    ask(device, peers) {
      const { process, plan } = device
      // What a receive-only device writes goes nowhere, and nothing waits for it.
      if (process?.collection == null || plan.direction === "receive-only") return
      const asked = known(device, process)
      world.trace(`${device.index} waits for synced() of ${asked.length} writes by ${peers}`)
      count(process, 1)
      process.collection.synced({ peers }).then(
        () => {
          count(process, -1)
          world.trace(`${device.index} hears that all is synced`)
          check(device, process, peers, asked)
        },
        (error: unknown) => {
          count(process, -1)
          world.faults.count(isRefusal(error) ? "synced-refused" : "synced-rejected")
        },
      )
    },
    askAll(askers) {
      const waiting = new Set(askers)
      const someoneRefuses = devices.some(({ plan }) => plan.refuses)
      for (const device of askers) {
        device.process?.collection?.synced().then(
          () => waiting.delete(device),
          (error: unknown) => {
            world.trace(`synced() of ${device.index} rejects: ${String(error)}`)
            if (someoneRefuses && isRefusal(error)) waiting.delete(device)
          },
        )
      }
      return () => {
        const [first] = waiting
        return first === undefined ? null : `synced() of ${first.index} does not resolve at rest`
      }
    },
    waiting: () => devices.find(({ process }) => process !== null && (open.get(process) ?? 0) > 0) ?? null,
    rollingBack(device, session) {
      losses.push({ key: device.key, session, image: device.disk.image() })
    },
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof RoomError && error.code === "refused"
}

function missingFrom(image: DiskImage, writes: Known): Known {
  return writes.filter(([document, dot]) => !isOnDisk(image, document, dot))
}
