export declare const PLATFORMS: Readonly<
  Record<string, { readonly target: string; readonly cpu: string; readonly libc: 'glibc' | 'musl' }>
>
export declare const GLIBC_CEILING: string
export declare function thisPlatform(): string
export declare function addonName(platform: string): string
