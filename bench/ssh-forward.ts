import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Stage } from './stage.ts'

/** `ssh -L` with AES-128-GCM from `near` to a port of `far`, with a server and keys of its own. */
export async function startSshForward(stage: Stage, to: number): Promise<number> {
  const [near, far] = [stage.machine('near'), stage.machine('far')]
  const [hostKey, userKey] = [join(stage.directory, 'ssh-host-key'), join(stage.directory, 'ssh-user-key')]
  for (const key of [hostKey, userKey]) await near.exec('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  const [port, serverPort] = [await stage.freePort(), await stage.freePort()]
  const config = join(stage.directory, 'sshd.conf')
  await writeFile(config, serverConfig(serverPort, hostKey, `${userKey}.pub`))
  // The server insists on this directory of Debian's.
  await mkdir('/run/sshd', { recursive: true })
  const server = far.spawn('/usr/sbin/sshd', ['-D', '-e', '-f', config])
  await server.waitForOutput(/Server listening/)
  const client = near.spawn('ssh', [
    ...['-v', '-N', '-F', 'none', '-i', userKey, '-p', String(serverPort), '-c', 'aes128-gcm@openssh.com'],
    ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'IdentitiesOnly=yes'],
    ...['-L', `127.0.0.1:${port}:127.0.0.1:${to}`, `root@${far.address}`],
  ])
  await client.waitForOutput(/Entering interactive session/)
  return port
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
