import test from 'ava'
import { CandidateExchange } from '../../../../../agent/path/datachannel/candidate-exchange.ts'

const line = (n: number) => `candidate:1 1 UDP 5 198.51.100.${n} 4000 typ host`

test('a peer candidate waits for its description', t => {
  const exchange = new CandidateExchange({ role: 'answerer', loopback: false })
  t.is(exchange.addTheirLine(line(1)), undefined)
  t.deepEqual(
    exchange.describe().give.map(candidate => candidate.endpoint.address),
    ['198.51.100.1'],
  )
  t.is(exchange.addTheirLine(line(2))?.endpoint.address, '198.51.100.2')
})

test('an offerer keeps its candidates until the answer, an answerer sends them at once', t => {
  const offerer = new CandidateExchange({ role: 'offerer', loopback: false })
  t.is(offerer.addOurLine(line(1)), undefined)
  t.is(offerer.describe().send.length, 1)
  t.truthy(offerer.addOurLine(line(2)))
  const answerer = new CandidateExchange({ role: 'answerer', loopback: false })
  t.truthy(answerer.addOurLine(line(1)))
  t.is(answerer.describe().send.length, 0)
})

test('a peer has 30 candidates and each once', t => {
  const exchange = new CandidateExchange({ role: 'answerer', loopback: false })
  exchange.describe()
  for (let round = 0; round < 2; round++) {
    for (let n = 1; n <= 100; n++) {
      t.is(exchange.addTheirLine(line(n)) !== undefined, round === 0 && n <= 30)
    }
  }
})

test('the candidates of a socket that was given up are not sent', t => {
  const exchange = new CandidateExchange({ role: 'offerer', loopback: false })
  exchange.addOurLine(line(1))
  exchange.forgetOurs()
  exchange.addOurLine(line(2))
  t.deepEqual(exchange.hosts, [{ address: '198.51.100.2', port: 4000 }])
})
