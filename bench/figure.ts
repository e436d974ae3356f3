/** A number with three digits that count; `-` for none. */
export function figure(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '-'
  const size = Math.abs(value)
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3)
}
