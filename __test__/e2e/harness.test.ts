/*
 * The harness itself, because a check that cannot fail proves nothing: what a test forgets is found, and
 * the scripted original dies of what kills the original.
 *
 *     ┌─ forgetful ──────────────────────┐      ┌─ the test's own process ──────────┐
 *     │ zz0   a TUN device               │      │ scripted original ◄─ unix:… ─ liar │
 *     │ sleep, in a session of its own   │      └───────────────────────────────────┘
 *     └──────────────────────────────────┘
 */
import { connect } from 'node:net'

import { beforeEach, describe, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { frame, HEADER_BYTES } from '../harness/frame.js'
import { echoPacket } from '../harness/icmp.js'
import { remains } from '../harness/inside/remains.mjs'
import { Lab } from '../harness/lab.js'
import { Original, OriginalServer } from '../harness/original.js'

const MTU_BYTES = 1400
const OURS = { mtuBytes: MTU_BYTES, inner: ['10.10.0.2', 'fd00:10::2'] }
const THEIRS = { mtuBytes: MTU_BYTES, inner: ['10.10.0.1', 'fd00:10::1'] }
const PACKET = echoPacket({
  ...{ kind: 'request', from: '10.10.0.2', to: '10.10.0.9' },
  ...{ id: 1, sequence: 1, data: Buffer.alloc(56) },
})

endToEnd('the harness', (lab) => {
  describe('afterwards', () => {
    let forgetful: Lab
    beforeEach(() => {
      forgetful = new Lab()
    })

    const LITTER: Record<string, { leave: () => Promise<unknown>; found: RegExp }> = {
      'a TUN device': {
        async leave() {
          const host = await forgetful.namespace('host')
          await host.ip('tuntap', 'add', 'zz0', 'mode', 'tun')
        },
        found: /the TUN zz0 in the namespace/,
      },
      'a process that left its group': {
        async leave() {
          const host = await forgetful.namespace('host')
          await host.spawn(['sh', '-c', 'setsid sleep 1000 >/dev/null 2>&1 & exit 0']).exitsWith(0)
        },
        found: /the process \d+ \(sleep 1000\)/,
      },
      'a process that ignores SIGTERM': {
        async leave() {
          const stubborn = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1e6); console.log('deaf')"
          await forgetful.spawn([process.execPath, '-e', stubborn]).line(/deaf/)
        },
        found: /the end of .*deaf/,
      },
      'a socket file': {
        async leave() {
          // Exits without closing, as a program that is killed does.
          const script = 'require("net").createServer().listen(process.argv[1], () => process.exit())'
          await forgetful.spawn([process.execPath, '-e', script, await forgetful.path('left.sock')]).exitsWith(0)
        },
        found: /the socket file .*left\.sock/,
      },
    }

    test.each(Object.entries(LITTER))('finds %s, and removes it', async (_name, { leave, found }) => {
      await leave()
      await expect(forgetful.close()).rejects.toThrow(found)
      expect(remains(forgetful.owner)).toEqual([])
    })

    test('is content when nothing is left', async () => {
      const host = await forgetful.namespace('host')
      host.spawn(['sleep', '1000'])
      await forgetful.path('nothing')
      await forgetful.close()
      expect(remains(forgetful.owner)).toEqual([])
    })
  })

  describe('the scripted original', () => {
    const DEADLY: Record<string, { bytes: Buffer; reason: string }> = {
      'a wrong magic': { bytes: frame(PACKET, { magic: 0x5a505255 }), reason: 'died of magic 0x5a505255' },
      'size 0': { bytes: frame(Buffer.alloc(0)), reason: 'died of size 0' },
      'a payload above its MTU': { bytes: frame(Buffer.alloc(MTU_BYTES + 1, 0x45)), reason: 'died of size 1401' },
      'a wrong CRC32C': { bytes: frame(PACKET, { crc: 1 }), reason: 'died of CRC32C 0x1' },
      'a payload that is not IP': {
        bytes: frame(Buffer.alloc(64)),
        reason: 'died because its TUN refused a payload of version 0',
      },
      'a super-packet with its virtio_net_hdr': {
        bytes: frame(Buffer.concat([Buffer.alloc(10), PACKET]), { flags: 2 }),
        reason: 'died because its TUN refused a payload of version 0',
      },
      'the end inside a frame': {
        bytes: frame(PACKET).subarray(0, HEADER_BYTES + 1),
        reason: 'closed by the peer inside a frame',
      },
    }

    test.each(Object.entries(DEADLY))('dies of %s', async (_name, { bytes, reason }) => {
      const path = await lab.path('original.sock')
      await using server = await OriginalServer.listen(path, THEIRS)
      const accepted = server.accept()
      const liar = connect(path)
      liar.on('error', () => undefined)
      liar.end(bytes)
      expect(await (await accepted).ended).toBe(reason)
    })

    test('ignores flags, drops what is not for it, and answers echo requests of both families', async () => {
      const path = await lab.path('original.sock')
      await using server = await OriginalServer.listen(path, THEIRS)
      const accepted = server.accept()
      await using peer = await Original.dial(path, OURS)
      peer.sendBytes(frame(PACKET, { flags: 0x80000001 }))
      for (const address of THEIRS.inner) {
        await peer.ping(address)
        await peer.ping(address, { sizeBytes: MTU_BYTES - 48, byteByByte: true })
      }
      expect((await accepted).reason).toBeUndefined()
      expect((await accepted).received[0]).toEqual({ flags: 0x80000001, payload: PACKET })
    })
  })
})
