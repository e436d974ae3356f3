import type { LabIdentity } from './lab-identity.ts'
import type { ProcessTable } from './lab-process.ts'
import { removeTraces } from './traces.ts'

interface LiveLab {
  readonly identity: LabIdentity
  readonly processes: ProcessTable
}

const live = new Set<LiveLab>()
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Sees to it that the lab does not outlive this process, unless SIGKILL ends it; undo with the function returned. */
export function registerLab(lab: LiveLab): () => void {
  if (live.size === 0) {
    process.on('exit', removeAll)
    for (const signal of SIGNALS) process.on(signal, onSignal)
  }
  live.add(lab)
  return () => {
    live.delete(lab)
    if (live.size > 0) return
    process.off('exit', removeAll)
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
}

function removeAll(): void {
  for (const { identity, processes } of live) {
    processes.killAll()
    removeTraces(identity)
  }
  live.clear()
}

/** Somebody else who listens, as the command line does, ends the lab in good order instead. */
function onSignal(signal: (typeof SIGNALS)[number]): void {
  if (process.listenerCount(signal) > 1) return
  removeAll()
  process.off(signal, onSignal)
  process.kill(process.pid, signal)
}
