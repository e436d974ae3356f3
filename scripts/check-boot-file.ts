import { mergeBootFile } from '../agent/config/boot-file.ts'
import { formatFault } from '../agent/config/config-fault.ts'
import { readConfigText } from '../agent/config/load-config.ts'

// check-boot-file.ts FILE: tells what a device would say of this culvert.json at its first start; exit code 1 if it would
// refuse it.

const [path = ''] = process.argv.slice(2)
const file = await readConfigText(path)
const say = (text: string) => void process.stderr.write(`${path}: ${text}\n`)
if ('problem' in file) {
  say(`${file.problem}; ${file.remedy}`)
  process.exitCode = 1
} else {
  const merged = mergeBootFile(file.text, undefined, '/etc/culvert/agent.json')
  if (merged.ok) for (const warning of merged.warnings) say(`warning: ${formatFault(warning)}`)
  else {
    for (const fault of merged.faults) say(formatFault(fault))
    process.exitCode = 1
  }
}
