/** What goes on around a tunnel that its owner never sees: news before anybody listens, and what ends with it. */

import type { TunnelNotice } from './tunnel-events.js'

/** What `openTunnelWith` and the tunnel that it makes share, and nobody else sees. */
export class Backstage {
  readonly notices = new NoticeRelay()
  /** What ends with the tunnel, after the device is gone and before `closed` is. */
  readonly closing: (() => Promise<void>)[] = []
  /** Set by the tunnel: lets its life begin. */
  begin: () => void = () => undefined
  /** Set by the tunnel: takes what the peer's shell says. */
  onWord: (word: string) => void = () => undefined

  readonly hear = (word: string): void => {
    this.onWord(word)
  }

  async close(): Promise<void> {
    for (const close of this.closing.splice(0)) await close()
  }
}

/** Keeps the notices of the time before the tunnel has an owner, then passes on each as it comes. */
class NoticeRelay {
  #early: TunnelNotice[] = []
  #forward: ((notice: TunnelNotice) => void) | undefined

  readonly take = (notice: TunnelNotice): void => {
    if (this.#forward === undefined) this.#early.push(notice)
    else this.#forward(notice)
  }

  pour(forward: (notice: TunnelNotice) => void): void {
    this.#forward = forward
    for (const notice of this.#early) forward(notice)
    this.#early = []
  }
}
