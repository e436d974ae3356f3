import type { EachWay, LineOptions } from './lab-options.ts'

/** How well a line carries, each way; what the link emulator and the token buckets are told. */
export interface LinkQuality {
  readonly delayMs: number
  readonly jitterMs: number
  readonly lossPct: { readonly up: number; readonly down: number }
  /** Null: as fast as the machine. */
  readonly rateMbit: { readonly up: number; readonly down: number } | null
}

export function linkQuality(options: LineOptions): LinkQuality {
  const { delayMs = 0, jitterMs = 0, lossPct = 0, rateMbit } = options
  return { delayMs, jitterMs, lossPct: eachWay(lossPct), rateMbit: rateMbit === undefined ? null : eachWay(rateMbit) }
}

/** Whether the options want an emulated line from the start: a zero does too. */
export function wantsEmulation(options: LineOptions): boolean {
  return options.delayMs !== undefined || options.jitterMs !== undefined || options.lossPct !== undefined
}

export function eachWay(value: EachWay): { readonly up: number; readonly down: number } {
  return typeof value === 'number' ? { up: value, down: value } : value
}

/** The line of text the link emulator takes; its end A is the site. */
export function emulatorLine({ delayMs, jitterMs, lossPct }: LinkQuality): string {
  return `${delayMs} ${jitterMs} ${lossPct.up} ${delayMs} ${jitterMs} ${lossPct.down}\n`
}

/** Shell lines that shape what leaves through a device; null takes the shape off. */
export function shaping(device: string, mbit: number | null): readonly string[] {
  if (mbit === null) return [`tc qdisc del dev ${device} root 2>/dev/null || true`]
  const bits = Math.round(mbit * 1e6)
  // 4 ms of burst, for the kernel fills the bucket by its tick; at least one frame as big as segmentation offload makes.
  const burst = Math.max(70_000, Math.round(bits / 8 / 250))
  return [`tc qdisc replace dev ${device} root tbf rate ${bits}bit burst ${burst} latency 50ms`]
}
