/**
 * The store for Node.
 *
 * @module @dunlin/loro/lmdb
 */
export { lmdbStore, type LmdbStoreOptions } from "./lmdb-store.ts"
