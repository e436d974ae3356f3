import test from 'ava'
import { GUESSES_PER_PERIOD, GuessGate } from '../../../../agent/path/guess-gate.ts'

test('who fails too often in a minute waits for the next one, and nobody else does', t => {
  const gate = new GuessGate()
  for (let guess = 0; guess < GUESSES_PER_PERIOD; guess++) {
    t.true(gate.mayTry('192.0.2.1', guess))
    gate.failed('192.0.2.1', guess)
  }
  t.false(gate.mayTry('192.0.2.1', 59_999))
  t.true(gate.mayTry('192.0.2.2', 59_999))
  t.true(gate.mayTry('192.0.2.1', 60_000))
  gate.failed('192.0.2.1', 60_000)
  t.true(gate.mayTry('192.0.2.1', 60_001))
})

test('a thousand guesses get as far as twenty do', t => {
  const gate = new GuessGate()
  let looked = 0
  for (let guess = 0; guess < 1_000; guess++) {
    if (!gate.mayTry('192.0.2.1', guess * 50)) continue
    looked++
    gate.failed('192.0.2.1', guess * 50)
  }
  t.is(looked, GUESSES_PER_PERIOD)
})

test('guesses from very many addresses are forgotten rather than kept', t => {
  const gate = new GuessGate()
  for (let i = 0; i < GUESSES_PER_PERIOD; i++) gate.failed('first', 0)
  for (let i = 0; i < 1_024; i++) gate.failed(`other ${i}`, 1)
  t.true(gate.mayTry('first', 2))
})
