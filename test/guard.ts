/** No claim: whoever waits so long waits in vain, also on a slow machine. */
const GUARD_MS = 120_000

/** What the promise gives; when it does not settle in two minutes, an error that shows how things stand. */
export async function guarded<T>(promise: Promise<T>, state: () => string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`waited ${GUARD_MS / 1000} s in vain:\n${state()}`)), GUARD_MS)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Looks again and again until there is nothing left, as at a router that is slow to do what it was asked for. */
export async function untilEmpty(look: () => Promise<readonly string[]>): Promise<void> {
  let left = await look()
  const wait = async () => {
    while (left.length > 0) {
      await new Promise(resolve => setTimeout(resolve, 50))
      left = await look()
    }
  }
  await guarded(wait(), () => left.join('\n'))
}
