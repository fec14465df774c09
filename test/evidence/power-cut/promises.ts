/** What was promised to somebody before the power went: it must be found afterwards. */
export type Promised =
  | { readonly kind: 'key'; readonly secret: string }
  /** `append` resolved. */
  | { readonly kind: 'entry'; readonly index: number; readonly entry: string }
  /** What proves a sign-in is kept. */
  | { readonly kind: 'proof'; readonly text: string }
  /** The command and its answer are on disk. */
  | { readonly kind: 'command'; readonly session: string; readonly command: number };
