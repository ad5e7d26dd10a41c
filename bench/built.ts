/**
 * For child processes that are measured: they run what users get. The loader that runs the source gives every closure its
 * name as it is made. That costs closure-heavy code a tenth of its time, and would slow down only Dunlin: the other
 * candidates come built.
 */
export const BUILT = { built: true } as const
