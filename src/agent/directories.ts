/** Where the CLI keeps what on this machine (XDG Base Directory Specification), all of it private to the user. */
import { tmpdir, homedir } from 'node:os';
import path from 'node:path';

export interface Directories {
  /** Settings without secrets, and the credential file where there is no credential store. */
  readonly config: string;
  /** Control socket and locks of running processes. */
  readonly runtime: string;
}

export function directories(environment: NodeJS.ProcessEnv = process.env): Directories {
  const absolute = (name: string) => {
    const value = environment[name] ?? '';
    // The specification: a relative path is invalid and is ignored.
    return path.isAbsolute(value) ? value : null;
  };
  const uid = process.getuid?.() ?? 'user';
  const runtime = absolute('XDG_RUNTIME_DIR');
  return {
    config: path.join(absolute('XDG_CONFIG_HOME') ?? path.join(homedir(), '.config'), 'hoop'),
    runtime: runtime === null ? path.join(tmpdir(), `hoop-${uid}`) : path.join(runtime, 'hoop'),
  };
}
