import { useStateValue } from "@dunlin/react"
import { storageHealth } from "../device/storage-health.ts"
import { LostDocuments, useUnseenLost } from "../documents/lost-documents.tsx"
import { Notice } from "../ui/notice.tsx"
import { inviteWords, type InviteTrouble } from "../workspace/invite-outcome.ts"
import { dismissInviteTrouble, refusedInvite } from "../workspace/start.ts"
import { useLocation } from "wouter"

/** Everything that went wrong and matters on every screen. */
export function Troubles() {
  const { trouble } = useStateValue(storageHealth, storageHealth.get())
  const invite = useStateValue(refusedInvite, null)
  const lost = useUnseenLost()
  // A page on plain http from another host has no WebCrypto: it cannot join a room.
  const insecure = !globalThis.isSecureContext
  if (trouble === null && invite === null && lost.length === 0 && !insecure) return null
  return (
    <div className="troubles">
      {invite !== null && <InviteNotice trouble={invite} />}
      <LostDocuments documents={lost} />
      {trouble !== null && <StorageNotice trouble={trouble} />}
      {insecure && (
        <Notice tone="warn" title="This address is not secure, so this device cannot sync.">
          <p>
            Browsers allow encryption only on https:// and on localhost. Open the page through one of these;
            what you write here is kept on this device.
          </p>
        </Notice>
      )}
    </div>
  )
}

function StorageNotice({ trouble }: { readonly trouble: "refused" | "full" }) {
  const [, navigate] = useLocation()
  const actions = (
    <div className="notice-actions">
      <button type="button" className="button" onClick={() => navigate("/settings")}>
        Export everything
      </button>
    </div>
  )
  if (trouble === "refused") {
    return (
      <Notice tone="warn" title="This browser refuses to store data.">
        <p>
          Everything works, but only until this tab closes. Private windows and blocked site data do this:
          allow storage for this site and reload, or export before you leave.
        </p>
        {actions}
      </Notice>
    )
  }
  return (
    <Notice tone="bad" title="The storage of this device is full.">
      <p>
        What you wrote last is still on the screen but not yet saved. Free some space, and it is saved by
        itself; or export everything now.
      </p>
      {actions}
    </Notice>
  )
}

function InviteNotice({ trouble }: { readonly trouble: InviteTrouble }) {
  const { title, advice } = inviteWords(trouble)
  return (
    <Notice tone="warn" title={title}>
      <p>{advice} Your own workspace is open and unchanged.</p>
      <div className="notice-actions">
        {trouble === "too-new" && (
          <button type="button" className="button" onClick={() => location.reload()}>
            Reload
          </button>
        )}
        <button type="button" className="button quiet" onClick={dismissInviteTrouble}>
          Dismiss
        </button>
      </div>
    </Notice>
  )
}
