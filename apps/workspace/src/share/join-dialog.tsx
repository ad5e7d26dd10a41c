import "./share-dialog.css"
import { useId, useLayoutEffect, useRef, useState, type FormEvent } from "react"
import { Dialog } from "../ui/dialog.tsx"
import { inviteWords } from "../workspace/invite-outcome.ts"
import { enterByInvite } from "../workspace/start.ts"

/** For an invite that arrived as text. An installed app has no address bar to paste it into. */
export function JoinDialog({ onClose }: { readonly onClose: () => void }) {
  const [text, setText] = useState("")
  const [problem, setProblem] = useState<string | null>(null)
  const field = useRef<HTMLTextAreaElement>(null)
  const problemId = useId()
  // After the dialog has opened, and has given the focus to its close button.
  useLayoutEffect(() => field.current?.focus(), [])

  function join(event: FormEvent): void {
    event.preventDefault()
    if (text.trim() === "") return
    const outcome = enterByInvite(text)
    if (outcome === "joins") return onClose()
    const { title, advice } = inviteWords(outcome)
    setProblem(`${title} ${advice}`)
    field.current?.focus()
  }

  return (
    <Dialog title="Join a workspace" onClose={onClose}>
      <form className="join" onSubmit={join}>
        <label className="labelled">
          <span>Invite link that somebody sent you</span>
          <textarea ref={field} className="field" rows={3} spellCheck={false} autoCapitalize="off" autoComplete="off" aria-invalid={problem !== null} aria-describedby={problemId} value={text} onChange={(event) => { setText(event.target.value); setProblem(null) }} onKeyDown={(event) => event.key === "Enter" && join(event)} />
        </label>
        <p id={problemId} className="field-problem small" role="alert">{problem}</p>
        <div className="actions">
          <button type="button" className="button quiet" onClick={onClose}>Cancel</button>
          <button type="submit" className="button primary" disabled={text.trim() === ""}>Join</button>
        </div>
      </form>
    </Dialog>
  ) // prettier-ignore
}
