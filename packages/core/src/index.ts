/**
 * Rooms, invites and identities; the ports that replicas and transports implement; the document register.
 *
 * @module @dunlin/core
 */
export * from "./ports/state.ts"
export * from "./ports/clock.ts"
export * from "./ports/random.ts"
export * from "./ports/replica.ts"
export * from "./ports/store.ts"
export * from "./ports/transport.ts"
export * from "./room/room.ts"
export { openRoom, type OpenRoomOptions } from "./room/open-room.ts"
export { createInvite, type ParsedInvite, parseInvite, topicInvite } from "./room/invite.ts"
export {
  type DeviceKey,
  type Identity,
  IdentityError,
  type IdentityErrorCode,
  memoryIdentity,
} from "./crypto/identity.ts"
export { browserIdentity } from "./crypto/identity-browser.ts"
export { fileIdentity } from "./crypto/identity-file.ts"
export { DecodeError, type DecodeErrorCode } from "./protocol/decode-error.ts"
export { compareBytes } from "./protocol/byte-order.ts"
export { sameBytes } from "./protocol/same-bytes.ts"
export { ByteReader } from "./protocol/byte-reader.ts"
export { ByteWriter } from "./protocol/byte-writer.ts"
export * from "./protocol/register/register-error.ts"
export { canonicalJson, cloneJson, type Json, type JsonObject } from "./protocol/register/json.ts"
export {
  compareDots,
  type Context,
  covers,
  type Dot,
  includesContext,
  type Incarnation,
  incarnationFromBytes,
  joinContexts,
} from "./protocol/register/dot.ts"
export { BIRTH_HLC, hlcFromMillis, millisFromHlc } from "./protocol/register/hlc.ts"
export * from "./protocol/register/dot-minter.ts"
export {
  birthIncarnation,
  type FieldClocks,
  type HashedValue,
  hashValue,
  type RegisterValue,
} from "./protocol/register/value.ts"
export {
  deltaFor,
  type DeltaView,
  EMPTY_REGISTER,
  joinRegister,
  needsFold,
  pushDelta,
  type RegisterDelta,
  type RegisterJoin,
  type RegisterState,
  type RegisterSummary,
  shownValue,
  type Sibling,
  summarizeRegister,
  wholeDelta,
  writeRegister,
} from "./protocol/register/register.ts"
export { stateHash } from "./protocol/register/state-hash.ts"
export * from "./protocol/register/view.ts"
export { advanceFields, mergeFieldValues } from "./protocol/register/merge-fields.ts"
export { decodeDelta, decodeSummary, encodeDelta, encodeSummary } from "./protocol/register/codec.ts"
