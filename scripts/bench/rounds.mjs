/**
 * Rounds: A B C A B C …, so that a machine that slows down slows all of them down. Nothing that fails
 * ends a run: it is kept, with the reason, where its figures would stand.
 */
import { bringUp, fullName, whyLeftOut } from './contenders.mjs'
import { lower, raise } from './lab.mjs'
import { busyPercent } from './machine.mjs'
import { throwIfStopped } from './programs.mjs'

/**
 * Measures each contender once a round, each time on new hosts. `measure` gets the contender, its programs and a
 * function `take(measure, work)`, whose work gives figures by name. Gives, for every contender, its rounds and medians.
 */
export async function inRounds({ rounds, contenders, link, measure, progress }) {
  const results = contenders.map(({ id, name, flag, ours = false, ...contender }) => ({
    id,
    name,
    ...(flag ? { flag } : {}),
    ours,
    ...(contender.proxies ? { proxies: contender.proxies.length } : {}),
    ...(whyLeftOut(contender) ? { skipped: whyLeftOut(contender) } : {}),
    rounds: [],
  }))
  for (let round = 1; round <= rounds; round += 1) {
    for (const [index, contender] of contenders.entries()) {
      if (results[index].skipped) continue
      progress.begin(fullName(contender), round, rounds)
      const outcome = await once(contender, { link, measure })
      results[index].rounds.push(outcome)
      progress.end(outcome)
    }
  }
  return results.map((result) => ({ ...result, medians: mediansOf(result.rounds) }))
}

async function once(contender, { link, measure }) {
  const figures = {}
  const problems = []
  // Others on the machine make every figure worse, and ratios wrong: whoever reads must know.
  const busyPercentBefore = await busyPercent()
  const startedAt = performance.now()
  try {
    raise({ ...link, proxies: contender.proxies?.length })
    const programs = await bringUp(contender)
    const take = async (what, work) => {
      try {
        Object.assign(figures, await work())
      } catch (error) {
        throwIfStopped()
        problems.push({ what, why: error.message })
      }
    }
    await measure({ programs, take, contender })
  } catch (error) {
    throwIfStopped()
    problems.push({ what: 'it did not come up', why: error.message, lastWords: error.lastWords ?? '' })
  } finally {
    for (const what of await lower()) problems.push({ what: 'something is left', why: what })
  }
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10
  return { figures, seconds, busyPercentBefore, ...(problems.length > 0 ? { problems } : {}) }
}

/** How busy the machine was with other things before the run that had it worst. */
export function worstBusyPercent(results) {
  return Math.max(0, ...results.flatMap(({ rounds }) => rounds.map(({ busyPercentBefore }) => busyPercentBefore)))
}

/** The median of each figure over the rounds that have it. */
function mediansOf(rounds) {
  const names = new Set(rounds.flatMap(({ figures }) => Object.keys(figures)))
  return Object.fromEntries(
    [...names].map((name) => [name, median(rounds.map(({ figures }) => figures[name]).filter(Number.isFinite))]),
  )
}

/** The middle one of them, or the mean of the two in the middle; undefined if there are none. */
export function median(numbers) {
  if (numbers.length === 0) return undefined
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
