import { createHash } from 'node:crypto'
import type { Component } from './components.ts'
import type { NpmPackage } from './platforms.ts'
import type { SourceState } from './source-state.ts'

export interface Inventory {
  readonly version: string
  readonly source: SourceState
  /** Of the one-file program. */
  readonly sha256: string
  readonly node: NpmPackage
  /** What Node brings along, by name: `process.versions` of that very Node. */
  readonly nodeParts: Readonly<Record<string, string | undefined>>
  readonly components: readonly Component[]
}

/** Entries of `process.versions` that are no software, but numbers of interfaces and of data. */
const NO_PARTS = ['node', 'modules', 'napi', 'unicode', 'tz', 'cldr']

/** What is inside, as CycloneDX 1.6 has it; its number is drawn from what it says, so that it is the same each time. */
export function sbomOf(inventory: Inventory): string {
  const { version, source, sha256, node, nodeParts, components } = inventory
  const nodeRef = npmUrl(node.name, node.version)
  const parts = Object.entries(nodeParts).filter(([name]) => !NO_PARTS.includes(name))
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      timestamp: new Date(source.epoch * 1000).toISOString().replace('.000', ''),
      component: {
        type: 'application',
        'bom-ref': 'culvert',
        name: 'culvert',
        version,
        hashes: [{ alg: 'SHA-256', content: sha256 }],
        licenses: licensed('MIT'),
        ...(source.commit === null ? {} : { properties: [{ name: 'commit', value: source.commit }] }),
      },
    },
    components: [
      {
        type: 'platform',
        'bom-ref': nodeRef,
        name: 'node',
        version: node.version,
        purl: nodeRef,
        hashes: [{ alg: 'SHA-512', content: hexOf(node.integrity) }],
        licenses: licensed('MIT'),
        components: parts.map(([name, version = '']) => ({
          type: 'library',
          'bom-ref': `${nodeRef}#${name}`,
          name,
          version,
        })),
      },
      ...components.map(entryOf),
    ],
    dependencies: [
      { ref: 'culvert', dependsOn: [nodeRef, ...components.filter(({ within }) => within === null).map(refOf)] },
      { ref: nodeRef, dependsOn: parts.map(([name]) => `${nodeRef}#${name}`) },
      ...components
        .filter(({ isPackage }) => isPackage)
        .map(owner => ({
          ref: refOf(owner),
          dependsOn: components.filter(({ within }) => within === owner.name).map(refOf),
        })),
    ],
  }
  return `${JSON.stringify({ serialNumber: serialOf(document), ...document }, undefined, 2)}\n`
}

function entryOf(component: Component) {
  const { name, version, license, source } = component
  return {
    type: 'library',
    'bom-ref': refOf(component),
    name,
    ...(version === null ? {} : { version }),
    purl: refOf(component),
    licenses: licensed(license),
    externalReferences: [{ type: 'vcs', url: source }],
  }
}

function licensed(id: string) {
  return [{ license: { id } }]
}

/** Its package URL, which names it here, too. */
function refOf({ name, version, source, isPackage }: Component): string {
  if (isPackage) return npmUrl(name, version ?? '')
  const place = source.replace('https://github.com/', '').toLowerCase()
  return `pkg:github/${place}${version === null ? '' : `@${version}`}`
}

function npmUrl(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}

function hexOf(integrity: string): string {
  return Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex')
}

/** A UUID of version 8 (RFC 9562 §5.8): ours to fill. */
function serialOf(document: object): string {
  const bytes = createHash('sha256').update(JSON.stringify(document)).digest().subarray(0, 16)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString('hex')
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
