/** What decides where an ELF file runs. */
export interface Elf {
  /** As Node names processors, or `machine N`. */
  machine: string
  /** The libraries that the loader must find. */
  needed: string[]
  /** The newest version of glibc that the loader demands. */
  glibc: string | undefined
  isStripped: boolean
}

export declare function readElf(bytes: Buffer): Elf
export declare function compareVersions(a: string, b: string): number
