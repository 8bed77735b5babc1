/** One thing that was measured; see `__test__/proofs/figures.ts`. */
export interface Figure {
  proof: string
  what: string
  value: number
  unit: string
  atMost?: number
}

export declare function table(figures: readonly Figure[]): { text: string; missed: number }
