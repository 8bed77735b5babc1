/**
 * Imported first by our programs, never by the library: leaves their JavaScript to V8's interpreter. A tunnel runs it a
 * few times a second at most; V8's compilers would take 5 to 8 MiB for it, and go on growing through the first thousand
 * reconnects. Only `zportal bench`, whose load is JavaScript, measures 2 % less for it.
 */

import { setFlagsFromString } from 'node:v8'

setFlagsFromString('--no-opt')
setFlagsFromString('--no-sparkplug')
