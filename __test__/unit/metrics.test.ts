import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { dropsOf, metricsText } from '../../src/control/metrics.js'
import { parseMetrics, sample } from '../harness/prometheus.js'
import { NO_STATS } from './fake-native.js'
import { STATUS } from './fake-status.js'
import { open } from './run-dir.js'

describe('metrics', () => {
  test('are what a strict reader takes, one series each', () => {
    const stats = { ...STATUS.stats, rttUs: 12_345, minRttUs: 3, sojournP50Us: 1000, reconnects: 2 }
    const families = parseMetrics(metricsText({ ...STATUS, stats }))
    expect(sample(families, 'zportal_up', { name: 'zt0' })).toBe(1)
    expect(sample(families, 'zportal_info', { role: 'client', version: '1.2.3' })).toBe(1)
    expect(sample(families, 'zportal_state', { state: 'up' })).toBe(1)
    expect(sample(families, 'zportal_state', { state: 'waiting' })).toBe(0)
    expect(sample(families, 'zportal_state_seconds', {})).toBe(3723)
    expect(sample(families, 'zportal_start_time_seconds', {})).toBe(1_767_225_600.5)
    expect(sample(families, 'zportal_packets_total', { direction: 'tx' })).toBe(1_250_000)
    expect(sample(families, 'zportal_bytes_total', { direction: 'tx' })).toBe(2 ** 30)
    expect(sample(families, 'zportal_drops_total', { cause: 'codel' })).toBe(3)
    expect(sample(families, 'zportal_rtt_seconds', {})).toBe(0.012345)
    expect(sample(families, 'zportal_min_rtt_seconds', {})).toBe(0.000003)
    expect(sample(families, 'zportal_reconnects_total', {})).toBe(2)
  })

  test.each(Object.keys(NO_STATS))('have %s somewhere', (key) => {
    const told = (value: number) => metricsText({ ...STATUS, stats: { ...NO_STATS, [key]: value } })
    expect(told(1_000_000)).not.toBe(told(0))
  })

  test('leave out what an older core does not count', () => {
    const stats = Object.fromEntries(Object.entries(NO_STATS).filter(([key]) => key !== 'rttUs')) as typeof NO_STATS
    expect(parseMetrics(metricsText({ ...STATUS, stats })).has('zportal_rtt_seconds')).toBe(false)
  })

  test('escape what a name may contain', () => {
    const families = parseMetrics(metricsText({ ...STATUS, name: 'a"b\\c' }))
    expect(sample(families, 'zportal_up', { name: 'a"b\\c' })).toBe(1)
  })

  test('the reader of these tests is strict', () => {
    const family = '# HELP a b\n# TYPE a gauge\n'
    const wrong = ['a 1\n', `${family}a 1`, `${family}a one\n`, `${family}a 1\na 1\n`, `${family}a{b=c} 1\n`, family]
    wrong.push('# TYPE a gauge\na 1\n', `${family}b 1\n`, `${family}a 1\n${family}a{b="c"} 1\n`, `${family}\na 1\n`)
    wrong.push('# HELP a b\n# TYPE a counter\na 1\n', `${family}a{b="c\\d"} 1\n`)
    for (const text of wrong) expect(() => parseMetrics(text), text).toThrow()
    expect(sample(parseMetrics(`${family}a{b="\\"\\n\\\\",c=""} 1e-7\n`), 'a', { b: '"\n\\', c: '' })).toBe(1e-7)
  })

  test('are served alone on a loopback port', async () => {
    const port = await freePort()
    const tunnel = await open({ bind: 'unix:/x', metrics: `127.0.0.1:${port}` })
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`)
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(sample(parseMetrics(await answer.text()), 'zportal_up', { name: 'zt7' })).toBe(0)
    expect((await fetch(`http://127.0.0.1:${port}/status`)).status).toBe(404)
    expect((await fetch(`http://127.0.0.1:${port}/down`, { method: 'POST' })).status).toBe(404)
    await expect(open({ bind: 'unix:/x', metrics: `127.0.0.1:${port}` })).rejects.toMatchObject({ code: 'ZP_CONTROL' })
    await tunnel.close()
    await expect(fetch(`http://127.0.0.1:${port}/metrics`)).rejects.toThrow()
  })

  test('drops by cause, whatever causes there are', () => {
    expect(dropsOf({ txBytes: 1, dropsCodel: 2, dropsNewCause: 3 })).toEqual([
      ['codel', 2],
      ['newcause', 3],
    ])
  })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
