import { describe, expect, test } from 'vitest'
import { changeText, formatMicroseconds, statusTable, statusText } from '../../src/face/status-text.js'
import { STATUS } from './fake-status.js'

describe('status for people', () => {
  test('one tunnel', () => {
    const stats = { ...STATUS.stats, rttUs: 12_345, minRttUs: 11_900, sojournP50Us: 1200, sojournP99Us: 4000 }
    const history = [{ at: '2026-01-01T00:00:00.000Z', state: 'up', previous: 'connecting', peer: 'h:1' }] as const
    const text = statusText({ ...STATUS, stats, history })
    expect(text.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, 'TIME')).toBe(
      [
        'zt0  client, up for 1:02:03',
        '  peer      h:1 via 127.0.0.1:1080  v1',
        '  way       127.0.0.1:1080 → h:1',
        '  inside    10.0.0.2/24  mtu 1400',
        '  sent      1.25 Gbit/s  1.00 GiB  1.25M packets',
        '  received  3.00 kbit/s       0 B  0 packets',
        '  delay     round trip 12.3 ms (least 11.9 ms)   queue 1.20 ms, 99 % within 4.00 ms',
        '  drops     4: down 1, codel 3',
        '  process   pid 42  zportal 1.2.3  /etc/zportal/lab.toml',
        '  history   TIME  up          h:1',
        '',
      ].join('\n'),
    )
  })

  test('why it is not up, and when it tries again', () => {
    const reason = { code: 'ZP_LINK_LOST', message: 'the connection broke' }
    const text = statusText({ ...STATUS, state: 'waiting', stateMs: 2000, peer: null, reason, retryMs: 7000 })
    expect(text).toContain('  peer      none; dials h:1\n')
    expect(text).toContain('  why       ZP_LINK_LOST: the connection broke\n')
    expect(text).toContain('  retry     in 0:05\n')
  })

  test('several, a line each', () => {
    const lines = statusTable([
      STATUS,
      { ...STATUS, name: 'office', role: 'server', state: 'listening', peer: null, local: '0.0.0.0:7000' },
    ])
    expect(lines).toBe(
      [
        'NAME    ROLE    STATE      FOR      SENT         RECEIVED     DROPS  PEER',
        'zt0     client  up         1:02:03  1.25 Gbit/s  3.00 kbit/s  4      h:1 via 127.0.0.1:1080',
        'office  server  listening  1:02:03  1.25 Gbit/s  3.00 kbit/s  4      0.0.0.0:7000',
        '',
      ].join('\n'),
    )
  })

  test('times', () => {
    expect([0, 210, 9994, 12_345, 123_456, 1_200_000].map(formatMicroseconds)).toEqual([
      ...['0.00 ms', '0.21 ms', '9.99 ms', '12.3 ms', '123 ms', '1.20 s'],
    ])
    expect(
      changeText({ at: new Date(2026, 0, 2, 3, 4, 5).toISOString(), state: 'waiting', previous: 'up', reason: 'ZP_X' }),
    ).toBe('2026-01-02 03:04:05  waiting     ZP_X')
  })
})
