/**
 * The operator's log: JSON lines that say what happened to which session, by code and id. It is not the record (that is
 * evidence/) and never holds user data: no statement, no value, no address of a person, no token.
 *
 * Invariant: fields pass an allow-list, here and not at each caller; errors pass without their texts unless they are
 * hoop's own, because drivers and libraries quote what they were given. A reader of the log that stalls never stalls the
 * relay: beyond a bound lines are dropped.
 */
import pino from 'pino';
import { HoopError } from '../errors.ts';
import { LogDestination } from './log-destination.ts';

/** Everything that a line may carry besides its event: ids, codes, names from the configuration, figures. */
export interface LogFields {
  readonly session?: string;
  readonly review?: string;
  readonly login?: string;
  readonly target?: string;
  /** As the configuration calls it. */
  readonly witness?: string;
  readonly stream?: string;
  readonly connection?: number;
  readonly command?: number;
  /** Ids of policies. */
  readonly policies?: readonly string[];
  /** A literal of the code: an end, a stage, a reason of hoop's own. */
  readonly reason?: string;
  readonly code?: string;
  readonly sqlState?: string;
  readonly method?: string;
  /** The pattern (`/v1/sessions/:id`), not the path. */
  readonly route?: string;
  readonly status?: number;
  readonly count?: number;
  readonly bytes?: number;
  readonly ms?: number;
  readonly entry?: number;
  readonly segment?: number;
  readonly file?: string;
  readonly address?: string;
  readonly version?: string;
  readonly digest?: string;
  readonly signal?: string;
}

const allowed: ReadonlySet<string> = new Set<keyof LogFields>([
  'session',
  'review',
  'login',
  'target',
  'witness',
  'stream',
  'connection',
  'command',
  'policies',
  'reason',
  'code',
  'sqlState',
  'method',
  'route',
  'status',
  'count',
  'bytes',
  'ms',
  'entry',
  'segment',
  'file',
  'address',
  'version',
  'digest',
  'signal',
]);

/** `event` is a literal of the code: `session opened`, `log write failed`. */
type Write = (event: string, fields?: LogFields, error?: unknown) => void;

/** What the relay logs with. */
export interface RelayLogger {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  /** Writes what waits; for the very end. */
  readonly flush: () => void;
}

/** Where lines go; standard error in the relay, memory in tests. */
export interface LogSink {
  write(line: string): void;
  flushSync?(): void;
}

/** A logger that writes to standard error, or to `destination`. */
export function createLogger(
  level: 'debug' | 'info' | 'warn' | 'error',
  destination: LogSink = new LogDestination(2),
): RelayLogger {
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  const at =
    (name: 'debug' | 'info' | 'warn' | 'error'): Write =>
    (event, fields, error) => {
      if (logger.isLevelEnabled(name)) logger[name]({ ...safeFields(fields), ...safeError(error) }, event);
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    flush: () => {
      try {
        destination.flushSync?.();
      } catch {
        // Nobody reads standard error any more; there is nowhere to say so.
      }
    },
  };
}

function safeFields(fields: LogFields = {}): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (!allowed.has(name)) continue;
    if (typeof value === 'number' || typeof value === 'boolean') safe[name] = value;
    else if (typeof value === 'string') safe[name] = value.slice(0, 256);
    else if (Array.isArray(value)) safe[name] = value.slice(0, 64).map((item) => String(item).slice(0, 256));
  }
  return safe;
}

/** Name, code and place of an error; its text and hint only when hoop wrote it. Causes are followed to three levels. */
export function safeError(error: unknown, depth = 0): { error?: Record<string, unknown> } {
  if (error === undefined || error === null || depth > 3) return {};
  if (!(error instanceof Error)) return { error: { name: typeof error } };
  const safe: Record<string, unknown> = { name: error.name };
  for (const key of ['code', 'syscall', 'errno'] as const) {
    const value: unknown = Reflect.get(error, key);
    if (typeof value === 'number' || (typeof value === 'string' && /^[\w-]{1,64}$/.test(value)))
      safe[key] = value;
  }
  if (error instanceof HoopError) {
    safe['message'] = error.message;
    if (error.hint !== undefined) safe['hint'] = error.hint;
  } else safe['at'] = framesOf(error);
  const cause = safeError(error.cause, depth + 1);
  return { error: cause.error === undefined ? safe : { ...safe, cause: cause.error } };
}

/** The stack without its first lines, which repeat the message. */
function framesOf(error: Error): string[] {
  const stack = error.stack ?? '';
  return stack
    .split('\n')
    .filter((line) => /^\s+at .*(\d+:\d+\)?|\(native\)|<anonymous>\)?)$/.test(line))
    .slice(0, 12)
    .map((line) => line.trim().slice(0, 256));
}
