/** The lab by hand: `node test/lab/cli.ts up alice=edm,upnp bob=eim-apdf` holds a lab until Ctrl-C. */
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { startLab } from './lab.ts'
import { LabError } from './lab-error.ts'
import { parseCarrier, parseSite, SITE_OPTIONS_HELP } from './site-argument.ts'
import { SITE_KINDS } from './site-kind.ts'

const HELP = `node test/lab/cli.ts up [--carrier NAME=KIND[,OPTION]...]... [--stun] NAME=KIND[,OPTION]...

KIND   ${Object.keys(SITE_KINDS).join(', ')}
OPTION ${SITE_OPTIONS_HELP.replaceAll('\n', '\n       ')}
--stun runs an RFC 5780 responder on relay.test, ports 3478 and 3479
`

async function up(sites: readonly string[], carriers: readonly string[], stun: boolean): Promise<void> {
  await using lab = await startLab({
    sites: Object.fromEntries(sites.map(parseSite)),
    carriers: Object.fromEntries(carriers.map(parseCarrier)),
  })
  if (stun) await lab.relayHost.startStunResponder()
  const rows = [
    { ...lab.relayHost, addresses: [...lab.relayHost.addresses.v4, ...lab.relayHost.addresses.v6] },
    ...lab.sites.flatMap(site => [
      { ...site.router, addresses: [site.outside4 ?? ''] },
      ...site.hosts.map(host => ({ ...host, addresses: [host.addresses.v4 ?? '', host.addresses.v6 ?? ''] })),
    ]),
  ]
  for (const { name, namespace, addresses } of rows) {
    process.stdout.write(`${name.padEnd(20)} ip netns exec ${namespace} sh    # ${addresses.join(' ').trim()}\n`)
  }
  process.stdout.write('up; Ctrl-C ends it\n')
  // Listeners for signals do not keep a process alive.
  const alive = setInterval(() => undefined, 2 ** 30)
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM'), once(process, 'SIGHUP')])
  clearInterval(alive)
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    carrier: { type: 'string', multiple: true, default: [] },
    stun: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const [verb, ...sites] = positionals
if (values.help || verb !== 'up' || sites.length === 0) {
  process.stdout.write(HELP)
  process.exitCode = values.help ? 0 : 2
} else {
  try {
    await up(sites, values.carrier, values.stun)
  } catch (error) {
    if (!(error instanceof LabError)) throw error
    process.stderr.write(`lab: ${error.message}\n`)
    process.exitCode = error.code === 'bad-option' ? 2 : 1
  }
}
