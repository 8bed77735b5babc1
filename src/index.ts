export { ERROR_CODES, ZPortalError } from './errors.js'
export type { ErrorCode, ErrorDetails, OptionProblem } from './errors.js'
