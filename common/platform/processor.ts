import { readFileSync } from 'node:fs'

const CPUINFO = '/proc/cpuinfo'

/** What the kernel tells of the processor, or undefined where it is hidden. */
export function readProcessorInfo(): string | undefined {
  try {
    return readFileSync(CPUINFO, 'utf8')
  } catch {
    return undefined
  }
}

/**
 * Whether the processor has instructions for AES: every x86-64 of the last decade and a Pi 5 do, a Pi 4 does not. Where
 * nothing is told (`info` undefined), the architecture decides.
 */
export function hasAesInstructions(info: string | undefined, architecture: string): boolean {
  const [, features] = /^(?:flags|Features)\s*:(.*)$/m.exec(info ?? '') ?? []
  return features === undefined ? architecture !== 'arm64' : features.split(' ').includes('aes')
}
