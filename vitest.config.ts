import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // A fork a file: the addon holds one thread a tunnel, and each process must be able to end them.
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['__test__/unit/**/*.test.ts'],
          typecheck: { enabled: false },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['__test__/e2e/**/*.test.ts'],
          // Namespaces, device names and ports belong to the whole machine: one file at a time.
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          // The same proofs as in `e2e`, with the counts that were promised: `npm run soak`.
          name: 'soak',
          include: ['__test__/soak/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 900_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          // Takes minutes and a Tor: `npm run test:tor`.
          name: 'tor',
          include: ['__test__/tor/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
