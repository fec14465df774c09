/** `hoop demo`: the tour, then, in a terminal, a relay to try things on. Cleans up however it ends. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { DatabaseKind } from './database.ts';
import { hoopBinary } from './hoop.ts';
import type { Person } from './installation.ts';
import { Screen } from './screen.ts';
import { Tour } from './tour.ts';

export interface DemoOptions {
  /** End after the last step instead of staying up. */
  readonly once: boolean;
  readonly database: DatabaseKind;
  write(text: string): void;
}

/** @returns whether every step held */
export async function demo({ once, database, write }: DemoOptions): Promise<boolean> {
  const screen = new Screen(write);
  const tour = new Tour(screen, database);
  const interrupted = Promise.withResolvers<null>();
  const interrupt = () => interrupted.resolve(null);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  try {
    const run = tour.run();
    run.catch(() => {}); // what fails because everything is being stopped is not told
    const stage = await Promise.race([run, interrupted.promise]);
    if (stage === null) return false;
    summary(screen);
    if (!once) {
      stay(screen, tour.directory, stage);
      await interrupted.promise;
      await tour.disconnect(stage);
    }
    return screen.failed.length === 0;
  } finally {
    await tour.close();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
  }
}

function summary(screen: Screen): void {
  screen.line();
  if (screen.failed.length === 0) screen.line('Every step held.');
  else
    screen.line(
      `${screen.failed.length} did not hold:\n${screen.failed.map((claim) => `  ${claim}`).join('\n')}`,
    );
}

/** Each person gets a file to source, with their own directories and `hoop` on the path. */
function stay(screen: Screen, directory: string, people: { ana: Person; lea: Person; relay: string }): void {
  const shell = (name: string, { env }: Person) => {
    const own = Object.entries(env).filter(([key]) => key.startsWith('XDG_'));
    const lines = own.map(([key, value]) => `export ${key}='${value}'`);
    lines.push('unset DBUS_SESSION_BUS_ADDRESS', `hoop() { '${process.execPath}' '${hoopBinary}' "$@"; }`);
    const file = path.join(directory, `${name}.sh`);
    writeFileSync(file, `${lines.join('\n')}\n`);
    return file;
  };
  screen.line(`
The relay stays up until Ctrl-C. In other terminals:

  . ${shell('ana', people.ana)}      # be Ana (engineering; password ${people.ana.password})
  hoop connect db-prod                # a port for psql, pg_dump or any driver
  hoop connect db-prod --detach ; hoop status ; hoop disconnect db-prod

  . ${shell('lea', people.lea)}      # be Lea (leads; password ${people.lea.password})
  hoop audit tail                     # watch Ana work
  hoop audit sessions ; hoop audit replay SESSION ; hoop audit verify
  hoop sessions list ; hoop sessions kill SESSION`);
}
