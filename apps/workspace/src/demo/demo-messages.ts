import { navigate } from "wouter/use-hash-location"
import { deviceName } from "../device/namespace.ts"
import type { Workspace } from "../workspace/workspace.ts"

/** From the first device to the page around it. */
export interface DemoMessage {
  readonly dunlinDemo: "ready"
  readonly invite: string
}

/** From the page to its devices. */
export interface DemoCommand {
  readonly dunlinDemo: "cable"
  readonly cut: boolean
}

export function isDemoMessage(data: unknown): data is DemoMessage {
  const { dunlinDemo, invite } = (data ?? {}) as Record<string, unknown>
  return dunlinDemo === "ready" && typeof invite === "string"
}

export function isDemoCommand(data: unknown): data is DemoCommand {
  const { dunlinDemo, cut } = (data ?? {}) as Record<string, unknown>
  return dunlinDemo === "cable" && typeof cut === "boolean"
}

/** Inside the split screen a workspace tells its invite to the page around it, and obeys its cable. */
export function followDemo(workspace: Workspace): void {
  if (window.parent === window) return
  void showSomething(workspace)
  const message: DemoMessage = { dunlinDemo: "ready", invite: workspace.invite }
  window.parent.postMessage(message, location.origin)
  addEventListener("message", ({ origin, source, data }) => {
    if (origin !== location.origin || source !== window.parent) return
    if (isDemoCommand(data)) workspace.session.cable.setCut(data.cut)
  })
}

/** Both devices open the same document: the first brings it, the second waits until it has arrived. */
async function showSomething(workspace: Workspace): Promise<void> {
  const { entries } = workspace.documents
  if (deviceName === "a" && (await entries.ready()).length === 0) {
    const { addSample } = await import("../transfer/sample.ts")
    await addSample(workspace)
  }
  const show = (): boolean => {
    const guide = entries.get()?.find(({ archived }) => !archived)
    if (guide !== undefined && !location.hash.startsWith("#/documents/")) navigate(`/documents/${guide.id}`)
    return guide !== undefined
  }
  if (show()) return
  const end = entries.subscribe(() => show() && end())
}
