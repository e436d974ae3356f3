import { finding } from '../../../../agent/control/doctor/finding.ts'
import { doctorReport } from '../../../../agent/control/doctor/report.ts'
import { HOME } from '../../../vectors/situations.ts'
import { SAMPLE_STATUS } from './sample-status.ts'

const [laptop] = SAMPLE_STATUS.peers
if (!laptop) throw new RangeError('the sample status has peers')
const { id, state } = laptop

/** A report with one of everything. */
export const SAMPLE_REPORT = doctorReport({
  agent: 'running',
  peer: SAMPLE_STATUS.peer,
  version: '0.1.0',
  tookMs: 2_900,
  findings: [
    finding('config-valid', 'ok', '/etc/culvert/agent.json is valid'),
    finding('relay-unreachable', 'problem', 'it takes no connection: ECONNREFUSED', {
      subject: 'https://relay.example.org',
      remedy: 'check that the relay runs',
    }),
    finding('port-mapping-failed', 'note', 'the router here refused TCP port 41822 (UPnP error 606)', {
      remedy: 'allow that in the router, or forward TCP 41822 and UDP 41823 to 192.168.1.20 in it',
      gain: 'then laptop connects directly',
    }),
    finding('peer-relayed', 'note', 'relayed: both routers use another outside port for every destination', {
      subject: 'laptop',
    }),
  ],
  nat: SAMPLE_STATUS.nat,
  relays: [
    {
      url: 'https://relay.example.org',
      addresses: ['203.0.113.9'],
      nameMs: 3.2,
      tcpMs: null,
      tlsMs: null,
      answerMs: null,
      clockOffsetMs: null,
      largePackets: null,
      failedAt: 'tcp',
      reason: 'ECONNREFUSED',
    },
  ],
  peers: [
    {
      id,
      name: 'laptop',
      state,
      path: {
        kind: 'relay',
        transport: 'pipe',
        how: 'relay',
        local: null,
        remote: '203.0.113.9:443',
        via: null,
        rttMs: 40,
        sinceS: 5,
      },
      why: 'relayed: both routers use another outside port for every destination',
      remedy: null,
      ways: [
        { way: 'pipe/relay 203.0.113.9:443', result: 'in-use', reason: null },
        { way: 'tcp/punched', result: 'failed', reason: 'the NAT of the peer gives each destination another TCP port' },
      ],
      here: { ...HOME, problem: null, lanAddress: null },
      there: null,
    },
  ],
})
