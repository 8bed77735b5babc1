/** Numbers as people read them: always one line, never wider than twelve columns. */

const DECIMAL = ['', 'k', 'M', 'G', 'T', 'P', 'E']
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']

/** Bits a second with three digits: `0 bit/s`, `8.53 Gbit/s`. */
export function formatBitRate(bitsPerSecond: number): string {
  const [digits, step] = scale(bitsPerSecond, 1000)
  return `${digits} ${DECIMAL[step] ?? ''}bit/s`
}

/** Bytes with three digits: `512 B`, `1.25 GiB`. */
export function formatBytes(bytes: number): string {
  const [digits, step] = scale(bytes, 1024)
  return `${digits} ${BINARY[step] ?? ''}`
}

/** A count with three digits: `999`, `1.25M`. */
export function formatCount(count: number): string {
  const [digits, step] = scale(count, 1000)
  return `${digits}${DECIMAL[step] ?? ''}`
}

/** Time since `0`: `0:05`, `12:34`, `1:02:03`, `3d 4:05:06`. */
export function formatElapsed(elapsedMs: number): string {
  const totalSeconds = Math.max(0, Math.floor(elapsedMs / 1000))
  const days = Math.floor(totalSeconds / 86_400)
  const hours = Math.floor(totalSeconds / 3600) % 24
  const minutes = Math.floor(totalSeconds / 60) % 60
  const seconds = String(totalSeconds % 60).padStart(2, '0')
  if (days === 0 && hours === 0) return `${minutes}:${seconds}`
  const clock = `${hours}:${String(minutes).padStart(2, '0')}:${seconds}`
  return days === 0 ? clock : `${days}d ${clock}`
}

/** Three digits and how often the base was divided out. */
function scale(value: number, base: number): [digits: string, step: number] {
  let rest = Math.max(0, value)
  let step = 0
  // 999.5 would be written as 1000, so it belongs to the next step.
  while (rest >= base - 0.5 && step < DECIMAL.length - 1) {
    rest /= base
    step += 1
  }
  if (step === 0) return [String(Math.round(rest)), step]
  return [rest >= 99.95 ? rest.toFixed(0) : rest >= 9.995 ? rest.toFixed(1) : rest.toFixed(2), step]
}
