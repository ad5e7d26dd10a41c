/**
 * The binding for CodeMirror 6.
 *
 * @module @dunlin/loro/codemirror
 */
export { loroCodeMirror, type LoroCodeMirrorOptions } from "./loro-codemirror.ts"
