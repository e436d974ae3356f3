import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../scenario/built-bundle.ts'

type Block = 'install' | 'change' | 'router' | 'relay' | 'flash'

/** The commands of the README's section about services, block by block: all of them, so that each has its test. */
export async function readmeBlocks(): Promise<Readonly<Record<Block, string>>> {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8')
  const section = readme.slice(readme.indexOf('\n## As a service\n'), readme.indexOf('\n## Commands\n'))
  const blocks = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block)
  const [install, change, router, relay, flash, ...more] = blocks
  if (!install || !change || !router || !relay || !flash || more.length > 0) {
    throw new Error(
      `the README has ${blocks.length} blocks about services: name the new one here, and run it in a test`,
    )
  }
  return { install, change, router, relay, flash }
}

/** A block as it is run in a folder, as root, with a relay that is there. */
export function asRun(block: string, folder: string, relayUrl: string): string {
  return `cd ${folder} && set -e\n${block.replace(/'http:[^']*'/, `'${relayUrl}'`)}`
}
