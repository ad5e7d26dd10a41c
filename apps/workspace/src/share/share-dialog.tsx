import "./share-dialog.css"
import encodeQR from "qr"
import { useMemo, useRef, useState } from "react"
import { Dialog } from "../ui/dialog.tsx"
import { Icon } from "../ui/icon.tsx"
import { inviteLink, reachesOtherDevices } from "../workspace/invite-link.ts"
import { useWorkspace } from "../workspace/workspace-context.ts"

export function ShareDialog({ onClose }: { readonly onClose: () => void }) {
  const { invite } = useWorkspace()
  const link = inviteLink(invite)
  const field = useRef<HTMLInputElement>(null)
  const [copied, setCopied] = useState(false)

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(link)
      setCopied(true)
    } catch {
      // Without permission to copy, the field is selected for Ctrl+C.
      field.current?.focus()
      field.current?.select()
    }
  }

  return (
    <Dialog title="Share this workspace" onClose={onClose}>
      <p className="soft">
        Whoever has this link can read and change everything in the workspace. Send it like a key. Browsers
        do not send the part after # to the server of this page, but they may keep it in their history.
      </p>
      <div className="share-link">
        <input ref={field} className="field" aria-label="Invite link" readOnly value={link} onFocus={(event) => event.target.select()} />
        <button type="button" className="button primary" onClick={() => void copy()}>
          <Icon name={copied ? "check" : "copy"} size={16} />
          {copied ? "Copied" : "Copy"}
        </button>
      </div>
      {reachesOtherDevices() ? (
        <>
          <QrCode text={link} />
          <p className="soft small">
            Open it on another device, in another browser, or in a private window. In a second tab of this browser it is
            already open: tabs share one copy.
          </p>
        </>
      ) : (
        <p className="soft small">
          This page comes from this computer, so its link works on this computer alone: in another browser, or in a
          private window. Other devices can join once the workspace is served where they can reach it.
        </p>
      )}
    </Dialog>
  ) // prettier-ignore
}

/** A single path, so that nothing is parsed as markup; always dark on light, which every camera reads. */
function QrCode({ text }: { readonly text: string }) {
  const { size, path } = useMemo(() => {
    const rows = encodeQR(text, "raw", { ecc: "low", border: 3 })
    const cells = rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")))
    return { size: rows.length, path: cells.join("") }
  }, [text])
  return (
    <svg className="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label="QR code of the invite link" shapeRendering="crispEdges">
      <rect width={size} height={size} fill="#ffffff" />
      <path d={path} fill="#1d2023" />
    </svg>
  ) // prettier-ignore
}
