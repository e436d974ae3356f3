import { join } from 'node:path'
import { startLab } from '../lab/lab.ts'
import { rootTest } from '../lab/root-test.ts'

const PROBE = join(import.meta.dirname, 'beyond-router-probe.ts')

rootTest('a second NAT that filters is told from a router that is the only one', async t => {
  await using lab = await startLab({
    carriers: { isp: 'eim-apdf', mild: 'eim-eif' },
    sites: {
      alone: 'eim-apdf',
      second: { kind: 'eim-apdf', via: 'isp' },
      unfiltered: { kind: 'eim-apdf', via: 'mild' },
      silent: 'udp-blocked',
    },
  })
  await lab.relayHost.startStunResponder()
  const [address = ''] = lab.relayHost.addresses.v4
  const found = await Promise.all(
    ['alone', 'second', 'unfiltered', 'silent'].map(async site => {
      const { stdout, stderr } = await lab.host(site).exec(process.execPath, [PROBE, address])
      return `${site} ${stdout.trim() || stderr}`
    }),
  )
  t.deepEqual(found, ['alone false', 'second true', 'unfiltered false', 'silent undefined'])
})
