import type { Room } from "@dunlin/core"
import { createContext, useContext, type Context } from "react"
import { RoomProviderError } from "./room-provider-error.ts"

export const RoomContext: Context<Room | null | undefined> = createContext<Room | null | undefined>(undefined)

/** The room of the nearest `RoomProvider`; null until it is open. Throws `RoomProviderError` outside a provider. */
export function useRoom(): Room | null {
  const room = useContext(RoomContext)
  if (room === undefined) {
    throw new RoomProviderError(
      "no-provider",
      "A hook of Dunlin needs a <RoomProvider> above it in the tree.",
    )
  }
  return room
}
