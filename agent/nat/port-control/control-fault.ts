/** What a refusal means, and what a router's owner can do. */
interface Fault {
  readonly name: string
  readonly remedy: string
}

const BY_HAND = 'forward the port by hand in the router, or do without'

const NOT_ALLOWED = {
  name: 'it does not allow it',
  remedy: 'allow port mapping (PCP, NAT-PMP) for this machine in the router',
}
const NO_LINE = { name: 'it has no address outside', remedy: "check the router's connection to the provider" }
/** Routers without a public address say the same as those with a full table. */
const NO_PORT = {
  name: 'it has no outside port to give',
  remedy: 'check that the router has a public address, and delete unused port mappings in it',
}
const FULL = { name: 'its table of port mappings is full', remedy: 'delete unused port mappings in the router' }

/** RFC 6886 §3.5. */
const NAT_PMP: ReadonlyMap<number, Fault> = new Map([
  [1, { name: 'it does not speak this version', remedy: BY_HAND }],
  [2, NOT_ALLOWED],
  [3, NO_LINE],
  [4, FULL],
  [5, { name: 'it does not know the request', remedy: BY_HAND }],
])

/** RFC 6887 §7.4. */
const PCP: ReadonlyMap<number, Fault> = new Map([
  [1, { name: 'it does not speak this version', remedy: BY_HAND }],
  [2, NOT_ALLOWED],
  [3, { name: 'it finds the request malformed', remedy: `update the router's firmware; else ${BY_HAND}` }],
  [4, { name: 'it does not know the request', remedy: BY_HAND }],
  [7, NO_LINE],
  [8, NO_PORT],
  [9, { name: 'it does not map this protocol', remedy: BY_HAND }],
  [
    10,
    { name: 'this machine has all the mappings that it may have', remedy: 'delete unused port mappings in the router' },
  ],
  [11, NO_PORT],
  [
    12,
    {
      name: 'another router stands between it and this machine',
      remedy: 'connect this machine to the first router, or make the one between a bridge',
    },
  ],
])

/** One line: what was asked, what the router said, what would mend it. */
export function describeControlFault(protocol: 'nat-pmp' | 'pcp', what: string, code: number): string {
  const fault = (protocol === 'pcp' ? PCP : NAT_PMP).get(code) ?? { name: 'unknown error', remedy: BY_HAND }
  const name = protocol === 'pcp' ? 'PCP' : 'NAT-PMP'
  return `the router refused ${what}: ${fault.name} (${name} error ${code}); ${fault.remedy}`
}
