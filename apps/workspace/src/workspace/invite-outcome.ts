/** Why an invite leads nowhere. */
export type InviteTrouble = "damaged" | "too-new"

/** What becomes of an invite that comes while a workspace is open. */
export type InviteOutcome = "joins" | "open-already" | InviteTrouble

export interface InviteWords {
  readonly title: string
  /** What to do. */
  readonly advice: string
}

const WORDS: Readonly<Record<Exclude<InviteOutcome, "joins">, InviteWords>> = {
  damaged: {
    title: "That invite link is not complete.",
    advice:
      "It was cut or changed on its way. Ask for the link again and copy all of it, including everything after the #.",
  },
  "too-new": {
    title: "That invite needs a newer version of Dunlin.",
    advice: "Reload this page to get the newest version, then open the link again.",
  },
  "open-already": {
    title: "You are in that workspace already.",
    advice: "Send the link to somebody else, or open it in another browser.",
  },
}

export function inviteWords(outcome: keyof typeof WORDS): InviteWords {
  return WORDS[outcome]
}
