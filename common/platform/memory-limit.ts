import { totalmem } from 'node:os'

/** The memory that this process may use: of its control group (`MemoryMax` of systemd), or of the machine. */
export function memoryLimitBytes(): number {
  return lesserLimit(process.constrainedMemory(), totalmem())
}

/** Without a control group, or without a limit in it, Node tells 0 or more than there is. */
export function lesserLimit(groupBytes: number, machineBytes: number): number {
  return groupBytes > 0 ? Math.min(groupBytes, machineBytes) : machineBytes
}
