import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Ends, through } from '../ends.ts'
import { processTree } from '../process-cost.ts'
import { nothing } from '../program.ts'
import type { Carrier } from '../traffic.ts'
import { requireProgram } from './required-program.ts'

/** `ssh -L` with AES-128-GCM, with a server and keys of its own. */
export async function startSsh(ends: Ends): Promise<Carrier> {
  requireProgram('ssh', 'openssh-client')
  requireProgram('sshd', 'openssh-server')
  const { stage, near, far, servicePort } = ends
  const [hostKey, userKey] = [join(stage.directory, 'ssh-host-key'), join(stage.directory, 'ssh-user-key')]
  for (const key of [hostKey, userKey]) {
    await near.machine.exec('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  }
  const [port, serverPort] = [await stage.freePort(), await stage.freePort()]
  const config = join(stage.directory, 'sshd.conf')
  await writeFile(config, serverConfig(serverPort, hostKey, `${userKey}.pub`))
  // The server insists on this directory of Debian's.
  await mkdir('/run/sshd', { recursive: true })
  const server = far.machine.spawn('/usr/sbin/sshd', ['-D', '-e', '-f', config])
  await server.waitForOutput(/Server listening/)
  const client = near.machine.spawn('ssh', [
    ...['-v', '-N', '-F', 'none', '-i', userKey, '-p', String(serverPort), '-c', 'aes128-gcm@openssh.com'],
    ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'IdentitiesOnly=yes'],
    ...['-L', `127.0.0.1:${port}:127.0.0.1:${servicePort}`, `root@${far.machine.address}`],
  ])
  await client.waitForOutput(/Entering interactive session/)
  const target = { host: '127.0.0.1', port }
  // The session behind the server is a process of its own, which is there when a byte came back.
  await near.ask('open', { ...target, count: 1 }, nothing)
  return through(ends, target, [client.pid, ...processTree(server.pid)])
}

function serverConfig(port: number, hostKey: string, authorizedKeys: string): string {
  return [
    `Port ${port}`,
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${authorizedKeys}`,
    'PermitRootLogin prohibit-password',
    'StrictModes no',
    'UsePAM no',
    'PidFile none',
    '',
  ].join('\n')
}
