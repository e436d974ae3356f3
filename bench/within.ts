/** Waits for it, but no longer than so many milliseconds. */
export async function within<Value>(limitMs: number, what: Promise<Value>): Promise<Value> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`took longer than ${limitMs / 1000} s`)), limitMs)
  try {
    return await Promise.race([what, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
