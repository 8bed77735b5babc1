/** A package.json, as far as the tests look into it. */
export interface Manifest {
  readonly name: string
  readonly version: string
  readonly files: readonly string[]
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

export declare function pack(options: { out: string; all?: boolean }): { tarballs: string[]; missing: string[] }
export declare function shellManifest(): Manifest
export declare function platformManifest(platform: string): Manifest
export declare function checkAddon(platform: string, bytes: Buffer, ceiling?: string): void
