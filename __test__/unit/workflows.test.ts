/* The release does what npm/ expects of it, and runs nothing that could change under our feet. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { PLATFORMS } from '../../npm/platforms.mjs'

const folder = new URL('../../.github/workflows/', import.meta.url)
const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8')

test.each(readdirSync(folder))('%s: every action is pinned to a commit, its version beside it', (name) => {
  const uses = [...read(name).matchAll(/uses: (.*)/g)].map(([, action]) => action ?? '')
  expect(uses.length).toBeGreaterThan(0)
  const foreign = uses.filter((action) => !action.startsWith('./'))
  for (const action of foreign) expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  // One version of each action everywhere.
  expect(new Set(foreign).size).toBe(new Set(foreign.map((action) => action.split('@')[0])).size)
})

test('a release builds every platform and publishes only when all are there', () => {
  const release = read('release.yml')
  const built = [...release.matchAll(/platform: (linux-[\w-]+)/g)].map(([, platform]) => platform)
  expect(built.sort()).toEqual(Object.keys(PLATFORMS).sort())
  expect(release).toContain('npm run pack -- --all')
  expect(release).toContain('npm publish "$tarball" --provenance')
  expect(release).toMatch(/addon:\n.*\n\s+needs: test\n/)
})

test('only the job that publishes may ask for an identity', () => {
  const jobs = read('release.yml').split(/\n(?= {2}\w+:\n)/)
  expect(jobs.filter((job) => job.includes('id-token: write')).map((job) => job.trim().split(':')[0])).toEqual([
    'publish',
  ])
})
