import test from 'ava'
import { resolveServiceName } from '../../../../agent/service/service-name.ts'
import { ALICE } from '../../../vectors/keys.ts'

const PEERS = ['Attic', 'nas.home', 'home', 'pi', 'PI']

for (const [host, peer, service] of [
  ['ssh.attic.culvert.internal', 'Attic', 'ssh'],
  ['SSH.ATTIC.CULVERT.INTERNAL.', 'Attic', 'SSH'],
  ['web.nas.home.culvert.internal', 'nas.home', 'web'],
  ['web.v2.home.culvert.internal', 'home', 'web.v2'],
  ['web.PI.culvert.internal', 'PI', 'web'],
  ['web.pi.culvert.internal', 'pi', 'web'],
  [`web.${ALICE.id.toUpperCase()}.culvert.internal`, ALICE.id, 'web'],
] as const) {
  test(`${host} is ${service} of ${peer}`, t => {
    t.deepEqual(resolveServiceName(host, PEERS), { peer, service })
  })
}

for (const host of [
  'example.org',
  'ssh.attic.culvert.internal.example.org',
  'ssh.attic.culvertinternal',
  'culvert.internal',
  'attic.culvert.internal',
  '.attic.culvert.internal',
  'ssh.cellar.culvert.internal',
  's h.attic.culvert.internal',
  'ssh/x.attic.culvert.internal',
  `ssh.${'a'.repeat(51)}b.culvert.internal`,
  '',
]) {
  test(`${JSON.stringify(host)} is no service`, t => t.is(resolveServiceName(host, PEERS), undefined))
}
