import { runProgram } from './run-program.ts'

/** What a build is made of, so far as it shows in it. */
export interface SourceState {
  /** Null outside of a git repository. */
  readonly commit: string | null
  /** Seconds since 1970: the only time that a package carries, however often and wherever it is built. */
  readonly epoch: number
}

/** The commit that is checked out, with `+changes` if a file of it was changed, and its time unless SOURCE_DATE_EPOCH says another. */
export async function sourceStateOf(root: string, env: NodeJS.ProcessEnv): Promise<SourceState> {
  const given = env.SOURCE_DATE_EPOCH
  if (given !== undefined && !/^\d+$/.test(given))
    throw new Error(`SOURCE_DATE_EPOCH is "${given}", not seconds since 1970`)
  const git = (...args: readonly string[]) =>
    runProgram(['git', ...args], { cwd: root, env: { GIT_OPTIONAL_LOCKS: '0' } })
  try {
    const [commit = '', time = ''] = (await git('log', '-1', '--format=%H %ct')).trim().split(' ')
    const changes = await git('status', '--porcelain', '--untracked-files=no')
    return { commit: changes === '' ? commit : `${commit}+changes`, epoch: Number(given ?? time) }
  } catch (cause) {
    if (given !== undefined) return { commit: null, epoch: Number(given) }
    throw new Error(
      'the time of the commit is not known; set SOURCE_DATE_EPOCH to the seconds since 1970 that packages shall carry',
      { cause },
    )
  }
}
