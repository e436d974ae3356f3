/** A library that a native addon brings along, built into it. */
export interface Vendored {
  readonly name: string
  /** Null where neither the addon nor its package tells. */
  readonly version: string | null
  /** As SPDX writes it. */
  readonly license: string
  readonly source: string
  /** Where its licence stands: a file of `notices/`, or a package that carries the same text. */
  readonly text: { readonly file: string } | { readonly asOf: string }
  /** What the addon's bytes hold if it has this version. */
  readonly trace?: string
}

/** Native addons, by the package that they come in, with what is known to be built into them. */
export const VENDORED: Readonly<Record<string, readonly Vendored[]>> = {
  'node-datachannel': [
    {
      name: 'libdatachannel',
      version: '0.24.5',
      license: 'MPL-2.0',
      source: 'https://github.com/paullouisageneau/libdatachannel',
      text: { asOf: 'node-datachannel' },
    },
    {
      name: 'libjuice',
      version: null,
      license: 'MPL-2.0',
      source: 'https://github.com/paullouisageneau/libjuice',
      text: { asOf: 'node-datachannel' },
    },
    {
      name: 'plog',
      version: null,
      license: 'MPL-2.0',
      source: 'https://github.com/SergiusTheBest/plog',
      text: { asOf: 'node-datachannel' },
    },
    {
      name: 'usrsctp',
      version: null,
      license: 'BSD-3-Clause',
      source: 'https://github.com/sctplab/usrsctp',
      text: { file: 'usrsctp.txt' },
    },
    {
      name: 'libsrtp',
      version: '2.8.0',
      license: 'BSD-3-Clause',
      source: 'https://github.com/cisco/libsrtp',
      text: { file: 'libsrtp.txt' },
      trace: 'libsrtp2 2.8.0',
    },
    {
      name: 'openssl',
      version: '1.1.1w',
      license: 'OpenSSL',
      source: 'https://github.com/openssl/openssl',
      text: { file: 'openssl-1.1.1.txt' },
      trace: 'OpenSSL 1.1.1w',
    },
  ],
  'udx-native': [
    {
      name: 'libudx',
      version: null,
      license: 'Apache-2.0',
      source: 'https://github.com/holepunchto/libudx',
      text: { asOf: 'udx-native' },
    },
  ],
}
