import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'
import { VENDORED, type Vendored } from './vendored.ts'

/** Something that is inside the program and not ours. */
export interface Component {
  readonly name: string
  readonly version: string | null
  /** As SPDX writes it. */
  readonly license: string
  readonly source: string
  /** Its licence, with whose it is. */
  readonly text: string
  /** An npm package, rather than what another component brings along. */
  readonly isPackage: boolean
  readonly within: string | null
}

const HERE = import.meta.dirname

/** What esbuild took in from node_modules, and the native addons with what they bring along. */
export async function componentsOf(root: string, metafile: Metafile): Promise<readonly Component[]> {
  const inputs = Object.values(metafile.outputs).flatMap(output => Object.entries(output.inputs))
  const used = inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => path)
  const { packages: locked } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lock
  const native = Object.keys(VENDORED).map(name => `node_modules/${name}`)
  const folders = new Set([...packagesOf(used, Object.keys(locked)), ...native])
  const packages = await Promise.all([...folders].sort().map(folder => packageComponent(root, folder)))
  const brought = packages.flatMap(owner =>
    (VENDORED[owner.name] ?? []).map(vendored => vendoredComponent(vendored, owner, packages)),
  )
  return [...packages, ...(await Promise.all(brought))]
}

interface Lock {
  readonly packages: Readonly<Record<string, unknown>>
}

/** The folders of the installed packages that files belong to; some packages have a `node_modules` of their own making. */
export function packagesOf(paths: readonly string[], installed: readonly string[]): ReadonlySet<string> {
  const folders = paths.map(path =>
    installed
      .filter(folder => folder !== '' && path.startsWith(`${folder}/`))
      .reduce((longest, folder) => (folder.length > longest.length ? folder : longest), ''),
  )
  return new Set(folders.filter(folder => folder !== ''))
}

async function packageComponent(root: string, place: string): Promise<Component> {
  const folder = join(root, place)
  const said = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as PackageJson
  const file = (await readdir(folder)).find(entry => /^(licen[cs]e|copying)(\.(md|txt))?$/i.test(entry))
  const url = typeof said.repository === 'string' ? said.repository : (said.repository?.url ?? '')
  return {
    name: said.name,
    version: said.version,
    license: spdx(said.license),
    source: url.replace(/^git\+/, '').replace(/\.git$/, ''),
    text: await readFile(file === undefined ? broughtText(said.name) : join(folder, file), 'utf8'),
    isPackage: true,
    within: null,
  }
}

/** For one that carries no licence text; it has to be there. */
function broughtText(name: string): string {
  return join(HERE, 'notices', `${name}.txt`)
}

interface PackageJson {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly repository?: string | { readonly url: string }
}

/** Some packages write their licence with a blank where SPDX has a hyphen. */
export function spdx(license: string): string {
  return license.replaceAll(' ', '-')
}

async function vendoredComponent(
  { name, version, license, source, text }: Vendored,
  owner: Component,
  packages: readonly Component[],
): Promise<Component> {
  const words =
    'file' in text
      ? await readFile(join(HERE, 'notices', text.file), 'utf8')
      : (packages.find(other => other.name === text.asOf)?.text ?? '')
  return { name, version, license, source, text: words, isPackage: false, within: owner.name }
}
