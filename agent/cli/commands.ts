import { nearest } from '../config/nearest.ts'
import type { CommandSpec, OptionSpec } from './command.ts'

const config: OptionSpec = {
  value: 'FILE',
  summary: 'the config file (else CULVERT_CONFIG, else /etc/culvert/agent.json)',
}
const json: OptionSpec = { summary: 'print one JSON document, also for an error' }
const watch: OptionSpec = { summary: 'show it again after every change; with --json one document per line' }
const home: OptionSpec = {
  value: 'DIR',
  hidden: true,
  summary: 'where versions stand; the launcher knows /opt/culvert only',
}
const start: OptionSpec = { summary: 'have the service run it from now on, as the package installs it' }
/** Options of every command that talks to a running agent. */
const toAgent = {
  socket: {
    value: 'PATH',
    summary: "the agent's socket (else CULVERT_SOCKET, else as the config says, else /run/culvert/agent.sock)",
  },
  config,
} as const

/** Every command, in the order of help. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'agent',
    operands: [],
    summary: 'run the agent in the foreground',
    options: { config },
    notes: 'SIGTERM and SIGINT stop it, SIGHUP makes it read its config again.',
    load: () => import('./agent.ts'),
  },
  {
    name: 'relay',
    operands: [],
    summary: 'run a relay in the foreground',
    options: { config: { value: 'FILE', summary: 'the config file (else /etc/culvert/relay.json, else defaults)' } },
    notes: 'Prints the line to put into the "relays" of an agent\'s config.',
    load: () => import('./relay.ts'),
  },
  {
    name: 'init',
    operands: [],
    summary: 'make identity, config file, and a network of this device alone',
    options: {
      config,
      name: { value: 'NAME', summary: "what others call this machine (else the host's name)" },
      relay: { value: 'URL[#ID]', multiple: true, summary: 'a relay, with its id if it has no certificate' },
      start,
      json,
    },
    notes:
      'State goes to /var/lib/culvert for a config file under /etc, else into "state" beside the file.\nAn existing config file is never overwritten; an identity that is there is kept.',
    load: () => import('./init.ts'),
  },
  {
    name: 'id',
    operands: [],
    summary: 'print the peer id; makes the key pair if there is none yet',
    options: { config, json },
    load: () => import('./id.ts'),
  },
  {
    name: 'check',
    operands: [],
    summary: 'validate a config file: every fault with its place and remedy',
    options: { config, json },
    load: () => import('./check.ts'),
  },
  {
    name: 'first-boot',
    operands: [],
    summary: 'take in the config file on the boot partition of a flashed device, once',
    options: {
      file: { value: 'FILE', summary: 'that file (else /boot/firmware/culvert.json, else /boot/culvert.json)' },
      config,
    },
    notes:
      'Any part of a config goes over the one that is there: objects key by key, all else is replaced. Then FILE is\nerased, and FILE.taken.txt tells the peer id. A faulty FILE is left alone, and FILE.error.txt tells the faults.',
    load: () => import('./first-boot.ts'),
  },
  {
    name: 'peers',
    operands: [],
    summary: 'list the peers and how they are reached',
    options: { json, watch, ...toAgent },
    load: () => import('./peers.ts'),
  },
  {
    name: 'status',
    operands: [],
    summary: 'show the agent: relays, NAT, peers, services, forwards',
    options: { json, watch, ...toAgent },
    load: () => import('./status.ts'),
  },
  {
    name: 'remove',
    operands: ['PEER'],
    summary: 'remove a member from the network; its sessions end at once',
    options: {
      'with-devices': { summary: 'with an admin, the devices that it let in, too (else they stay, and are listed)' },
      json,
      ...toAgent,
    },
    notes: 'Only an admin may, and only a device with the network key removes an admin. Exit code 4: not allowed.',
    load: () => import('./remove.ts'),
  },
  {
    name: 'invite',
    operands: [],
    summary: 'let another device into the network: prints a join code, for one device and 24 hours',
    options: {
      name: { value: 'NAME', summary: 'what it shall be called (else as it says itself)' },
      role: {
        value: 'ROLE',
        multiple: true,
        summary: 'what it may do, by "role:ROLE" of a service; "admin" may invite',
      },
      expires: { value: 'TIME', summary: 'how long the code is good: 1m to 30d (24h)' },
      qr: { summary: 'a QR code besides, as on a terminal' },
      json,
      ...toAgent,
    },
    notes: 'On the other device: culvert join, and the code there. This one has to be running then.',
    load: () => import('./invite.ts'),
  },
  {
    name: 'join',
    operands: ['[CODE]'],
    summary: 'get this device into the network that the code is from',
    options: {
      name: { value: 'NAME', summary: "what others call it (else as in its config, else the host's name)" },
      start,
      json,
      ...toAgent,
    },
    notes:
      'Without CODE, or with "-", it is read from standard input: a command line is seen by ps, and kept in a history.\nMakes identity and config file where there are none, and adds the relays of the code to a config that is there. A\nrunning agent is in the network at once. Exit code 4: the code lets nobody in; 3: who made it was not reached.',
    load: () => import('./join.ts'),
  },
  {
    name: 'share',
    operands: ['NAME', 'TARGET'],
    summary: 'offer a service of this machine to peers, from now on',
    options: {
      allow: {
        value: 'WHO',
        multiple: true,
        summary: 'who may use it: "*" (all peers), peer:NAME, role:ROLE (else as before, or all)',
      },
      json,
      ...toAgent,
    },
    notes:
      'TARGET is tcp://HOST:PORT, udp://HOST:PORT, unix:/PATH, HOST:PORT, or a PORT on 127.0.0.1. It goes into the config\nfile, in place of the target of a service of that name, and a running agent takes it over.',
    load: () => import('./share.ts'),
  },
  {
    name: 'unshare',
    operands: ['NAME'],
    summary: 'offer a service no longer',
    options: { json, ...toAgent },
    load: () => import('./unshare.ts'),
  },
  {
    name: 'forward',
    operands: ['LISTEN', '[PEER/SERVICE]'],
    summary: "listen here and lead to a peer's service, until the agent stops",
    options: { remove: { summary: 'close the forward at LISTEN' }, json, ...toAgent },
    notes:
      'LISTEN is tcp://HOST:PORT, unix:/PATH, HOST:PORT, or a PORT on 127.0.0.1; udp://HOST:PORT for a UDP service.\nsocks5://HOST:PORT, without PEER/SERVICE, is a SOCKS5 server for SERVICE.PEER.culvert.internal.',
    load: () => import('./forward.ts'),
  },
  {
    name: 'connect',
    operands: ['PEER/SERVICE'],
    summary: "join standard input and output to a peer's service",
    options: { ...toAgent },
    notes: 'For ssh: ssh -o ProxyCommand="culvert connect PEER/ssh" PEER',
    load: () => import('./connect.ts'),
  },
  {
    name: 'ping',
    operands: ['PEER'],
    summary: 'measure the round trip to a peer and tell the path it takes',
    options: { count: { value: 'N', summary: 'how often, one second apart (4)' }, json, ...toAgent },
    notes: 'One without an answer is given up after 5 s, and after 16 s while the peer has not answered yet.',
    load: () => import('./ping.ts'),
  },
  {
    name: 'bench',
    operands: ['PEER'],
    summary: 'measure what the path to a peer carries, each way, and the round trip meanwhile',
    options: {
      seconds: { value: 'N', summary: 'how long each way (5); at most 30' },
      relay: { summary: 'as long also over a relay, which is else spared: 2 s and 8 MiB each way' },
      json,
      ...toAgent,
    },
    load: () => import('./bench.ts'),
  },
  {
    name: 'doctor',
    operands: ['[PEER]'],
    summary: 'look for what is wrong, and say what would make it better',
    options: { json, ...toAgent },
    notes:
      'Takes some five seconds; a PEER that is named is called. Exit code 0: nothing is wrong, 1: something is,\n5: no agent runs (the config and its relays are looked at all the same).',
    load: () => import('./doctor.ts'),
  },
  {
    name: 'update',
    operands: ['[FILE|URL]'],
    summary: 'install a signed release; it is kept only if the agent reaches a relay and a peer again',
    options: {
      'allow-downgrade': { summary: 'take a version that is older than this one' },
      again: { summary: 'try a version once more that was rolled back' },
      unproven: { summary: 'also where no agent runs, or where it reaches no relay' },
      trial: { value: 'SECONDS', summary: 'how long the new version has (180)' },
      restart: { value: 'COMMAND', summary: 'what restarts the agent, where systemd does not run it' },
      keys: { value: 'FILE', summary: 'public keys of who may sign releases (/etc/culvert/release-keys)' },
      home,
      watch: { hidden: true, summary: 'watch over a trial to its end; what the unit culvert-update runs' },
      json,
      ...toAgent,
    },
    notes:
      'The trial ends by itself, also without this command, and after a power cut: then the version before runs.\nExit code 1: refused or rolled back.',
    load: () => import('./update.ts'),
  },
  {
    name: 'version',
    operands: [],
    summary: 'print the version, what it is made of, and how the last update went',
    options: { json, home },
    load: () => import('./version.ts'),
  },
  {
    name: 'licenses',
    operands: [],
    summary: 'print the licences of everything inside',
    options: {},
    load: () => import('./licenses.ts'),
  },
  {
    name: 'help',
    operands: ['[COMMAND]'],
    summary: 'explain a command',
    options: {},
    load: () => import('./help.ts'),
  },
]

export function findCommand(name: string): CommandSpec | undefined {
  return COMMANDS.find(command => command.name === name)
}

/** What to say of a word that is no command. */
export function noSuchCommand(word: string): string {
  const near = nearest(
    word,
    COMMANDS.map(command => command.name),
  )
  const hint = near === undefined ? 'see "culvert help"' : `did you mean "culvert ${near}"?`
  return `there is no command "${word.slice(0, 80)}"; ${hint}`
}
