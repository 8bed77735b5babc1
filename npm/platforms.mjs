// The platforms that have a package of their own, as Node, npm and Rust name them.

/** Each with Rust's name for it, and the fields by which npm decides whether a machine wants the package. */
export const PLATFORMS = {
  'linux-x64-gnu': { target: 'x86_64-unknown-linux-gnu', cpu: 'x64', libc: 'glibc' },
  'linux-x64-musl': { target: 'x86_64-unknown-linux-musl', cpu: 'x64', libc: 'musl' },
  'linux-arm64-gnu': { target: 'aarch64-unknown-linux-gnu', cpu: 'arm64', libc: 'glibc' },
  'linux-arm64-musl': { target: 'aarch64-unknown-linux-musl', cpu: 'arm64', libc: 'musl' },
}

/**
 * The newest glibc that a package may need: what the oldest system among those that we support has. Debian 12, Ubuntu
 * 22.04, RHEL 9. Releases are linked against an older one; a build on the machine itself needs what is there.
 */
export const GLIBC_CEILING = '2.34'

/** The platform that this process runs on; it need not be one of {@link PLATFORMS}. */
export function thisPlatform() {
  // Node's own header says against which C library it runs. Without this switch the report asks the network for names.
  process.report.excludeNetwork = true
  const libc = process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'
  return `${process.platform}-${process.arch}-${libc}`
}

/** How a platform's addon is called, in its package and where the build leaves it. */
export function addonName(platform) {
  return `zportal.${platform}.node`
}
