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
    ],
  },
})
