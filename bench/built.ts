/**
 * For child processes that are measured: they run what users get. The loader that runs the source names every closure as it
 * is made, which costs code that makes many a tenth of its time, and only Dunlin's is run by it.
 */
export const BUILT = { built: true } as const
