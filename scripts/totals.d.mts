/** How many tests passed, failed and were skipped. */
export interface Total {
  passed: number
  failed: number
  skipped: number
}

/** What is read of the report of vitest's json reporter. */
export interface VitestReport {
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
  numTodoTests: number
  testResults: { status: string; assertionResults: { status: string }[] }[]
}

export declare const NOTHING: Total
export declare function sum(totals: Total[]): Total
export declare function ofCargo(output: string): Total
export declare function ofVitest(report: VitestReport): Total
export declare function honest(total: Total, stage: { code: number; tests: boolean }): Total
export declare function sentence(total: Total): string
