/** Whether something beyond this host's first router filters: node beyond-router-probe.ts ADDRESS, of a relay's STUN. */
import { isFilteredBeyondRouter } from '../../agent/nat/beyond-router.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { systemRandom } from '../../common/platform/random.ts'

const [address = ''] = process.argv.slice(2)
const servers = [3478, 3479].map(port => ({ address, port }))
const { signal } = new AbortController()
const found = await isFilteredBeyondRouter({ clock: systemClock, random: systemRandom, signal, servers })
process.stdout.write(`${found}\n`)
