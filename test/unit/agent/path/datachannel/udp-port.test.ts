import test from 'ava'
import { claimPort, isPortClaimed, mayUsePort } from '../../../../../agent/path/datachannel/udp-port.ts'

test('a port is claimed per peer until the last claim is released', t => {
  const first = claimPort(7000, 'a')
  const second = claimPort(7000, 'a')
  t.true(isPortClaimed(7000, 'a'))
  t.false(isPortClaimed(7000, 'b'))
  t.false(isPortClaimed(7001, 'a'))
  first.release()
  first.release()
  t.true(isPortClaimed(7000, 'a'))
  second.release()
  t.false(isPortClaimed(7000, 'a'))
})

test('of a second connection between two ends exactly one stays on a mapped port, and none without one', t => {
  for (const offererMapped of [false, true]) {
    for (const answererMapped of [false, true]) {
      const offerer = mayUsePort({ claimed: true, mapped: offererMapped, peerMapped: false, role: 'offerer' })
      const answerer = mayUsePort({
        claimed: true,
        mapped: answererMapped,
        peerMapped: offererMapped,
        role: 'answerer',
      })
      t.is(Number(offerer) + Number(answerer), offererMapped || answererMapped ? 1 : 0)
    }
  }
})

test('the first connection with a peer always gets the port', t => {
  t.true(mayUsePort({ claimed: false, mapped: false, peerMapped: true, role: 'answerer' }))
})
