/** What a session's reader is told when something of it was erased. */
import type { SessionSummaryView } from '../../wire/audit.ts';

export const erasedLine = ({ what, at }: NonNullable<SessionSummaryView['erased']>): string =>
  `${what === 'recording' ? 'the recording' : 'the originals of masked values'}, ${at}: the log has its digests`;
