/**
 * Contract suites, memory versions of every port, and the simulated clock, disk and network.
 *
 * @module @dunlin/core/testing
 */
export * from "./memory-replica.ts"
export { readStoredDocument } from "./memory-documents.ts"
export type { MemoryDocumentsOptions, MintedWrite, RegisterSteps } from "./memory-documents.ts"
export * from "./memory-store.ts"
export * from "./seeded-random.ts"
export * from "./memory-transport.ts"
export * from "./faulty-transport.ts"
export * from "./simulated-clock.ts"
export * from "./simulated-disk.ts"
export * from "./simulated-network.ts"
export { createSyncEngine } from "../room/sync-engine.ts"
export type * from "../room/sync-engine-api.ts"
export type { PresenceSigner } from "../room/presence-relay.ts"
export { decodeMessage } from "../protocol/message.ts"
export type { Frame } from "../protocol/frame.ts"
export { isLeafId, leafId, type MeshPlan, planMesh } from "../protocol/mesh-plan.ts"
export { type ContractCase, ContractBreach } from "./contract-case.ts"
export { transportContract, type TransportSubject } from "./transport-contract.ts"
export { replicaContract, type ReplicaSubject } from "./replica-contract.ts"
export { clockContract, randomContract } from "./clock-contract.ts"
export { storeContract } from "./store-contract.ts"
