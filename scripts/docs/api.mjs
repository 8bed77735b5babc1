/** docs/API.md: what src/index.ts exports, from its types and comments, on one page (typedoc). */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Application, Converter, IntrinsicType } from 'typedoc'

import { ROOT } from '../run.mjs'

const HEAD = `# The API

Made from the types by \`npm run docs\`. The README has a short example to start from; docs/ERRORS.md tells the codes.

`

export async function apiReference() {
  const folder = mkdtempSync(join(tmpdir(), 'zportal-api-'))
  try {
    const app = await Application.bootstrapWithPlugins({
      plugin: ['typedoc-plugin-markdown'],
      logLevel: 'Warn',
      outputs: [{ name: 'markdown', path: folder }],
      entryPoints: [join(ROOT, 'src', 'index.ts')],
      tsconfig: join(ROOT, 'tsconfig.build.json'),
      // The compiler has its own stage.
      skipErrorChecking: true,
      readme: 'none',
      disableSources: true,
      excludeInternal: true,
      excludeExternals: true,
      excludePrivate: true,
      sort: ['source-order'],
      outputFileStrategy: 'modules',
      hideBreadcrumbs: true,
      hidePageHeader: true,
      hidePageTitle: true,
      parametersFormat: 'table',
      interfacePropertiesFormat: 'table',
      classPropertiesFormat: 'table',
      tableColumnSettings: { hideDefaults: false, hideInherited: true, hideOverrides: true, hideModifiers: true },
      treatWarningsAsErrors: true,
    })
    app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => leaveOutRepeated(project))
    const project = await app.convert()
    if (project === undefined) throw new Error('typedoc cannot read src/index.ts')
    app.validate(project)
    await app.generateOutputs(project)
    if (app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error('typedoc is not content; see above')
    return HEAD + tidy(readFileSync(join(folder, 'README.md'), 'utf8'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What another interface on the page has said already, and what can only be left out. */
function leaveOutRepeated(project) {
  for (const reflection of Object.values(project.reflections)) {
    const isRepeated = reflection.inheritedFrom?.reflection !== undefined
    const isForbidden = reflection.type instanceof IntrinsicType && reflection.type.name === 'undefined'
    const isOwnProperty = reflection.parent?.isDeclaration() && reflection.parent.parent === project
    if (isRepeated || (isForbidden && isOwnProperty)) project.removeReflection(reflection)
  }
}

/** The compiler forgets the name of a union that it has taken apart; every code in a row is no help to anybody. */
function tidy(text) {
  return text
    .replaceAll(/\\\[(?:`"ZP_\w+"`, )+`"ZP_\w+"`\\\]/g, '[`ErrorCode`](#errorcode)[]')
    .replaceAll(/(?:`"ZP_\w+"` \\\| )+`"ZP_\w+"`/g, '[`ErrorCode`](#errorcode)')
    .replaceAll('__namedParameters', 'options')
    .replaceAll('| `undefined` |', '| - |')
}
