import test from 'ava'

/** Network namespaces need it. */
export const isRoot = process.getuid?.() === 0

/** A serial test for root, visibly skipped for everybody else. */
export const rootTest = isRoot ? test.serial : test.serial.skip
