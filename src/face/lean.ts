/**
 * Imported first by our programs, never by the library: leaves their JavaScript to V8's interpreter. It runs a few times
 * a second at most, and V8's compilers would take 5 to 8 MiB for code that is no faster for it, and go on growing
 * through the first thousand reconnects.
 */

import { setFlagsFromString } from 'node:v8'

setFlagsFromString('--no-opt')
setFlagsFromString('--no-sparkplug')
