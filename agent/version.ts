/** Kept equal to package.json by a test. */
export const VERSION = '0.1.0'

/** Put in by the packaging. */
declare const CULVERT_COMMIT: string | null | undefined

/** The commit that this was packaged from, with `+changes` if there were any beside it; null where that is not known. */
export const COMMIT: string | null = typeof CULVERT_COMMIT === 'undefined' ? null : CULVERT_COMMIT
