// Preloaded into an agent: its wall clock begins in 1970, as on a board without a battery, and is set by SIGUSR2.

const RealDate = Date
let offsetMs = -RealDate.now()

globalThis.Date = class extends RealDate {
  constructor(...parts) {
    super(...(parts.length === 0 ? [RealDate.now() + offsetMs] : parts))
  }

  static now() {
    return RealDate.now() + offsetMs
  }
}

const tell = () => process.stderr.write(`wall clock ${new Date().toISOString()}\n`)

tell()
process.on('SIGUSR2', () => {
  offsetMs = 0
  tell()
})
