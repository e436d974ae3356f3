/** What the error numbers of UPnP (UDA 2.0 §3.2.2) and WANIPConnection:2 (§2.5) mean, and what a user can do. */
interface Fault {
  readonly name: string
  readonly remedy: string
}

const BY_HAND = 'forward the port by hand in the router, or do without'

const FAULTS: ReadonlyMap<number, Fault> = new Map([
  [401, { name: 'it does not know the action', remedy: BY_HAND }],
  [402, { name: 'it finds the arguments invalid', remedy: `update the router's firmware; else ${BY_HAND}` }],
  [501, { name: 'the action failed', remedy: `restart the router; else ${BY_HAND}` }],
  [602, { name: 'it does not implement the action', remedy: BY_HAND }],
  [
    606,
    { name: 'it does not authorize the action', remedy: 'allow UPnP port forwarding for this machine in the router' },
  ],
  [713, { name: 'there is no such entry', remedy: 'none needed' }],
  [714, { name: 'there is no such entry', remedy: 'none needed' }],
  [715, { name: 'it wants one remote host per mapping', remedy: BY_HAND }],
  [716, { name: 'it wants another external port', remedy: BY_HAND }],
  [718, { name: 'another machine has the port', remedy: 'delete stale port mappings in the router' }],
  [724, { name: 'it wants the same port inside and outside', remedy: 'choose another listen port' }],
  [725, { name: 'it makes permanent mappings only', remedy: BY_HAND }],
  [726, { name: 'it does not limit the remote host', remedy: BY_HAND }],
  [727, { name: 'it does not limit the external port', remedy: BY_HAND }],
  [728, { name: 'its table of port mappings is full', remedy: 'delete unused port mappings in the router' }],
  [729, { name: 'the port is used by another feature of the router', remedy: 'choose another listen port' }],
  [732, { name: 'it wants an internal port', remedy: BY_HAND }],
  [733, { name: 'it finds the arguments inconsistent', remedy: BY_HAND }],
])

/** One line: what was asked, what the router said, what would mend it. */
export function describeUpnpFault(what: string, code: number): string {
  const fault = FAULTS.get(code) ?? { name: 'unknown error', remedy: BY_HAND }
  return `the router refused ${what}: ${fault.name} (UPnP error ${code}); ${fault.remedy}`
}
