/**
 * Every wait ends at its condition or fails at its deadline: nothing in the tests sleeps for a fixed
 * time and hopes.
 */

/** How often a state of the kernel that sends no event is looked at, in milliseconds. */
const LOOK_EVERY_MS = 10

type Truthy<T> = Exclude<T, false | 0 | '' | null | undefined>

/**
 * Looks at `probe` until it gives something true, and returns that.
 *
 * For states that announce nothing (a device, a counter, a listening socket); where there is an
 * event, await the event through {@link within} instead.
 */
export async function until<T>(what: string, deadlineMs: number, probe: () => T | Promise<T>): Promise<Truthy<T>> {
  const startedAt = performance.now()
  for (;;) {
    const got = await probe()
    if (got) return got as Truthy<T>
    if (performance.now() - startedAt > deadlineMs) {
      throw new Error(`not within ${deadlineMs} ms: ${what}`)
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

/** The value of `promise`, or a failure that names what was awaited when the deadline passes first. */
export async function within<T>(what: string, deadlineMs: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`not within ${deadlineMs} ms: ${what}`))
    }, deadlineMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
