/** The blob of an encrypted store that holds its wrapped key; a store without encryption has none. */
export const KEY_BLOB = "dunlin/key"
