/** Keys of JSON objects that reach a prototype through careless code anywhere behind us. */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"])
