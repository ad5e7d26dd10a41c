export { loroCodeMirror, type LoroCodeMirrorOptions } from "./loro-codemirror.ts"
