import { toast } from "../ui/toasts.tsx"

interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): { createScriptURL(url: string): string }
}

const WORKER = "/sw.js"

/** Keeps the application itself on the device, so that it opens without a network. */
export async function keepAppOffline(): Promise<void> {
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return
  try {
    const registration = await navigator.serviceWorker.register(workerUrl())
    registration.addEventListener("updatefound", () => {
      const fresh = registration.installing
      fresh?.addEventListener("statechange", () => {
        if (fresh.state !== "installed" || navigator.serviceWorker.controller === null) return
        toast("A new version of the app is ready.", { label: "Use it", run: () => takeOver(fresh) })
      })
    })
  } catch {
    // Private windows refuse service workers. The app works, but needs the network to open.
  }
}

function takeOver(fresh: ServiceWorker): void {
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true })
  fresh.postMessage({ type: "SKIP_WAITING" })
}

/** The only string that may become a script address, and it is a constant. */
function workerUrl(): string {
  const { trustedTypes } = globalThis as unknown as { readonly trustedTypes?: TrustedTypes }
  if (trustedTypes === undefined) return WORKER
  const policy = trustedTypes.createPolicy("dunlin", {
    createScriptURL(url) {
      if (url !== WORKER) throw new TypeError("Only the application's own worker may be registered")
      return url
    },
  })
  return policy.createScriptURL(WORKER)
}
