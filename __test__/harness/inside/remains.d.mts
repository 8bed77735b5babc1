/** One object of an owner that exists on this machine. */
export interface Remain {
  kind: 'process' | 'namespace' | 'link' | 'directory'
  what: string
  remove: () => void
}

export declare const OWNER_VARIABLE: string
export declare function remains(owner: string): Remain[]
export declare function bury(owner: string): boolean
