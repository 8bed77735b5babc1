/**
 * Loaded into a program (`node --expose-gc --import collect.mjs …`): at each SIGUSR2 all garbage is collected, and what
 * is left is said on standard error (process.memoryUsage()).
 */
process.on('SIGUSR2', () => {
  // What finalizers let go of is garbage only in the next round.
  for (let round = 0; round < 3; round += 1) globalThis.gc()
  console.error(JSON.stringify(process.memoryUsage()))
})
