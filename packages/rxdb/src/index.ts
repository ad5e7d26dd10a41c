export { rxdbReplica, type RxdbHandle, type RxdbReplicaOptions } from "./rxdb-replica.ts"
export { mergeFields } from "./merge-policy.ts"
export type { ConflictingWrite, ResolvedConflict } from "./conflict-log.ts"
