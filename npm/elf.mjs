// Reads from an ELF file what decides where it runs: processor, libraries, and the oldest glibc that has what it asks for.
// Own code, because the packages are made and checked where there need be no binutils, and for foreign processors.
// Layout: elf(5), and the chapter on symbol versioning of the Linux Standard Base.

const MACHINES = { 62: 'x64', 183: 'arm64' }
const SHT_SYMTAB = 2
const SHT_DYNAMIC = 6
const SHT_GNU_VERNEED = 0x6ffffffe
const DT_NEEDED = 1
/** A version that may be missing: the symbol is weak, and the program looks whether it is there. */
const VER_FLG_WEAK = 2

/**
 * @returns {{ machine: string, needed: string[], glibc: string | undefined, isStripped: boolean }} `glibc` is the newest
 * version that the loader demands, undefined when it demands none.
 */
export function readElf(bytes) {
  const is64BitLittleEndian = bytes.subarray(0, 6).equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]))
  if (!is64BitLittleEndian) throw new Error('not a 64-bit little-endian ELF file')
  const machine = bytes.readUInt16LE(18)
  const sections = readSections(bytes)
  return {
    machine: MACHINES[machine] ?? `machine ${machine}`,
    needed: neededLibraries(bytes, sections),
    glibc: newest(demandedVersions(bytes, sections)),
    isStripped: !sections.some(({ type }) => type === SHT_SYMTAB),
  }
}

/** Compares versions such as 2.4 and 2.34 by their numbers. */
export function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number))
  for (let place = 0; place < Math.max(left.length, right.length); place += 1) {
    const difference = (left[place] ?? 0) - (right[place] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function readSections(bytes) {
  const [start, size, count] = [Number(bytes.readBigUInt64LE(40)), bytes.readUInt16LE(58), bytes.readUInt16LE(60)]
  return Array.from({ length: count }, (_, index) => {
    const header = bytes.subarray(start + index * size, start + (index + 1) * size)
    return {
      type: header.readUInt32LE(4),
      offset: Number(header.readBigUInt64LE(24)),
      size: Number(header.readBigUInt64LE(32)),
      link: header.readUInt32LE(40),
      info: header.readUInt32LE(44),
    }
  })
}

function neededLibraries(bytes, sections) {
  const dynamic = sections.find(({ type }) => type === SHT_DYNAMIC)
  if (dynamic === undefined) return []
  const names = []
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    if (bytes.readBigInt64LE(at) === BigInt(DT_NEEDED)) {
      names.push(text(bytes, sections[dynamic.link], Number(bytes.readBigUInt64LE(at + 8))))
    }
  }
  return names
}

/** The names such as GLIBC_2.34 that must be there when the file is loaded. */
function demandedVersions(bytes, sections) {
  const table = sections.find(({ type }) => type === SHT_GNU_VERNEED)
  if (table === undefined) return []
  const names = []
  for (let library = 0, at = table.offset; library < table.info; library += 1) {
    const count = bytes.readUInt16LE(at + 2)
    for (let version = 0, aux = at + bytes.readUInt32LE(at + 8); version < count; version += 1) {
      const isWeak = (bytes.readUInt16LE(aux + 4) & VER_FLG_WEAK) !== 0
      if (!isWeak) names.push(text(bytes, sections[table.link], bytes.readUInt32LE(aux + 8)))
      aux += bytes.readUInt32LE(aux + 12)
    }
    at += bytes.readUInt32LE(at + 12)
  }
  return names
}

function newest(names) {
  return names
    .flatMap((name) => /^GLIBC_([\d.]+)$/.exec(name)?.[1] ?? [])
    .sort(compareVersions)
    .at(-1)
}

function text(bytes, strings, offset) {
  const start = strings.offset + offset
  return bytes.toString('latin1', start, bytes.indexOf(0, start))
}
