import test from 'ava'
import { labRefusal } from './lab-rights.ts'

/** Whether this process may make network namespaces. */
export const mayMakeLabs = labRefusal() === undefined

/** A serial test for root, visibly skipped for everybody else, and where root may not make network namespaces. */
export const rootTest = mayMakeLabs ? test.serial : test.serial.skip
