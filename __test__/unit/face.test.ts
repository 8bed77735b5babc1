import { describe, expect, test } from 'vitest'
import { ZPortalError } from '../../src/errors.js'
import { byFlag, failureLines } from '../../src/face/failure.js'
import { formatBitRate, formatBytes, formatCount, formatElapsed } from '../../src/face/format.js'
import { isLiveTerminal } from '../../src/face/foreground.js'
import { logLine } from '../../src/face/log-line.js'
import { rateMeter } from '../../src/face/rates.js'
import type { View } from '../../src/face/status-line.js'
import { statusLine } from '../../src/face/status-line.js'
import { NO_STATS } from './fake-native.js'

describe('numbers', () => {
  test.each([
    [0, '0 bit/s'],
    [999, '999 bit/s'],
    [999.6, '1.00 kbit/s'],
    [1000, '1.00 kbit/s'],
    [9994, '9.99 kbit/s'],
    [9996, '10.0 kbit/s'],
    [99_960, '100 kbit/s'],
    [999_499, '999 kbit/s'],
    [999_501, '1.00 Mbit/s'],
    [8.534e9, '8.53 Gbit/s'],
    [-5, '0 bit/s'],
    [1e25, '10000000 Ebit/s'],
  ])('%d bits a second', (rate, text) => {
    expect(formatBitRate(rate)).toBe(text)
  })

  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1024 * 1023.6, '1.00 MiB'],
    [64 * 1024 ** 2, '64.0 MiB'],
    [2 ** 53, '8.00 PiB'],
  ])('%d bytes', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  test('counts', () => {
    expect([0, 999, 1000, 1_250_000].map(formatCount)).toEqual(['0', '999', '1.00k', '1.25M'])
  })

  test.each([
    [-1, '0:00'],
    [999, '0:00'],
    [5000, '0:05'],
    [59 * 60_000 + 59_999, '59:59'],
    [3_723_000, '1:02:03'],
    [86_400_000, '1d 0:00:00'],
    [3 * 86_400_000 + 4 * 3_600_000 + 5 * 60_000 + 6000, '3d 4:05:06'],
  ])('%d ms', (elapsedMs, text) => {
    expect(formatElapsed(elapsedMs)).toBe(text)
  })

  test('rates are what came in between two looks', () => {
    const rates = rateMeter()
    expect(rates({ ...NO_STATS, txBytes: 1000 }, 0)).toEqual({ txBitsPerSecond: 0, rxBitsPerSecond: 0 })
    expect(rates({ ...NO_STATS, txBytes: 2000, rxBytes: 500 }, 500)).toEqual({
      txBitsPerSecond: 16_000,
      rxBitsPerSecond: 8000,
    })
    // At the same moment nothing can be said, so the last rate stands and what came is counted at the next look.
    expect(rates({ ...NO_STATS, txBytes: 3000, rxBytes: 500 }, 500).txBitsPerSecond).toBe(16_000)
    expect(rates({ ...NO_STATS, txBytes: 3000, rxBytes: 500 }, 1500)).toEqual({
      txBitsPerSecond: 8000,
      rxBitsPerSecond: 0,
    })
  })
})

describe('log lines', () => {
  const time = new Date(Date.UTC(2026, 0, 1))

  test('time, level, message, fields', () => {
    expect(logLine(time, 'info', 'up', { name: 'zt0', peer: '[2001:db8::1]:7000', via: undefined, dial_ms: 3 })).toBe(
      '2026-01-01T00:00:00.000Z info up name=zt0 peer=[2001:db8::1]:7000 dial_ms=3',
    )
  })

  test.each([
    ['two words', '"two words"'],
    ['', '""'],
    ['a=b', '"a=b"'],
    ['say "hi"', String.raw`"say \"hi\""`],
    ['a\nb', String.raw`"a\nb"`],
    ['\u001b[2J', String.raw`"\u001b[2J"`],
    ['\u009b2J', String.raw`"\u009b2J"`],
    ['a\u007f', String.raw`"a\u007f"`],
    ['\u202eabc', String.raw`"\u202eabc"`],
    ['unix:/größe', 'unix:/größe'],
  ])('%j is quoted so that it stays one value on one line', (value, quoted) => {
    expect(logLine(time, 'warn', 'x', { v: value })).toBe(`2026-01-01T00:00:00.000Z warn x v=${quoted}`)
  })
})

describe('failures', () => {
  test('a code and a sentence', () => {
    expect(failureLines(new ZPortalError('ZP_DIAL', 'cannot connect'), byFlag({}))).toBe('ZP_DIAL: cannot connect\n')
  })

  test('one line for each option, by the name of its flag', () => {
    const problems = [
      { option: 'addresses[1]', message: 'must be one' },
      { option: 'other', message: 'is unknown' },
      { option: '', message: 'exactly one of `bind` and `connect`, got `bind` "bind"' },
    ]
    const error = new ZPortalError('ZP_OPTION', 'several', { problems })
    expect(failureLines(error, byFlag({ addresses: '--address', bind: '-b', connect: '-c' }))).toBe(
      'ZP_OPTION: --address must be one\nZP_OPTION: other is unknown\nZP_OPTION: exactly one of -b and -c, got -b "bind"\n',
    )
  })
})

describe('the live line', () => {
  const view: View = {
    name: 'zt0',
    state: 'up',
    stateMs: 65_000,
    where: '192.0.2.9:4711',
    stats: { ...NO_STATS, txBytes: 1.25 * 1024 ** 3, txPackets: 1_250_000, rxBytes: 2048, rxPackets: 12, dropsDown: 3 },
    rates: { txBitsPerSecond: 8.53e9, rxBitsPerSecond: 1000 },
  }
  const look = { columns: 200, color: false, unicode: true }

  test('tells everything where there is room', () => {
    expect(statusLine(view, look)).toBe(
      'zt0 up 1:05  192.0.2.9:4711  ↑ 8.53 Gbit/s 1.25 GiB 1.25M pkt  ↓ 1.00 kbit/s 2.00 KiB 12 pkt  drops 3',
    )
    expect(statusLine(view, { ...look, unicode: false })).toContain('  tx 8.53 Gbit/s 1.25 GiB')
  })

  test('never exceeds the columns, and keeps state and rates longest', () => {
    for (let columns = 0; columns <= 120; columns += 1) {
      const line = statusLine(view, { ...look, columns })
      expect(Array.from(line).length).toBeLessThanOrEqual(columns)
      if (columns >= 50) {
        expect(line).toContain('zt0 up')
        expect(line).toContain('8.53 Gbit/s')
        expect(line).toContain('1.00 kbit/s')
      }
    }
    expect(statusLine(view, { ...look, columns: 80 })).toContain('drops 3')
  })

  test('colours cost no columns, and none come without being asked for', () => {
    const plain = statusLine(view, look)
    const colored = statusLine(view, { ...look, color: true })
    expect(colored).toBe(plain.replace('zt0 up 1:05', '\u001b[32mzt0 up 1:05\u001b[0m'))
    expect(statusLine(view, { ...look, columns: plain.length, color: true })).toBe(colored)
  })

  test('what comes from outside cannot steer the terminal', () => {
    const line = statusLine({ ...view, where: 'unix:/\u001b[2J\u0007\u009b\u202ex' }, look)
    expect(line).toContain('unix:/')
    expect(line).not.toMatch(/\p{C}/u)
  })

  test('is for terminals that can repaint', () => {
    expect(isLiveTerminal({ isTTY: true }, { TERM: 'xterm' })).toBe(true)
    expect(isLiveTerminal({ isTTY: true }, { TERM: 'dumb' })).toBe(false)
    expect(isLiveTerminal({}, { TERM: 'xterm' })).toBe(false)
  })
})
