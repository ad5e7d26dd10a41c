import { navigate } from "wouter/use-hash-location"
import { documentPath } from "../shell/paths.ts"
import type { Workspace } from "../workspace/workspace.ts"

/** From the first device to the page around it. */
export interface DemoMessage {
  readonly dunlinDemo: "ready"
  readonly invite: string
  /** The document that both devices show. */
  readonly document: string
}

/** From the page to its devices. */
export interface DemoCommand {
  readonly dunlinDemo: "cable"
  readonly cut: boolean
}

export function isDemoMessage(data: unknown): data is DemoMessage {
  const { dunlinDemo, invite, document } = (data ?? {}) as Record<string, unknown>
  return dunlinDemo === "ready" && typeof invite === "string" && typeof document === "string"
}

function isDemoCommand(data: unknown): data is DemoCommand {
  const { dunlinDemo, cut } = (data ?? {}) as Record<string, unknown>
  return dunlinDemo === "cable" && typeof cut === "boolean"
}

/** Inside the split screen, a workspace tells the page around it which document it shows, and obeys its cable. */
export async function followDemo(workspace: Workspace): Promise<void> {
  if (window.parent === window) return
  addEventListener("message", ({ origin, source, data }) => {
    if (origin !== location.origin || source !== window.parent) return
    if (isDemoCommand(data)) workspace.session.cable.setCut(data.cut)
  })
  const document = new URLSearchParams(location.search).get("show") ?? (await somethingToShow(workspace))
  navigate(documentPath(document))
  const message: DemoMessage = { dunlinDemo: "ready", invite: workspace.invite, document }
  window.parent.postMessage(message, location.origin)
}

async function somethingToShow({ documents, ...workspace }: Workspace): Promise<string> {
  if ((await documents.entries.ready()).length === 0) {
    const { addSample } = await import("../transfer/sample.ts")
    await addSample({ documents, ...workspace })
  }
  return documents.entries.get()?.find(({ archived }) => !archived)?.id ?? documents.create()
}
