/** A real syslog server that takes RFC 5425: Debian's rsyslog, unprivileged, on a port of its own. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort } from '../../src/cli/demo/cluster.ts';
import { Running } from '../../src/cli/demo/hoop.ts';
import { eventually } from './eventually.ts';

export interface Received {
  readonly kind: string;
  readonly severity: string;
  readonly data: string;
  readonly message: string;
}

export class Rsyslog {
  readonly port: number;
  readonly #directory: string;
  #server: Running | null = null;

  private constructor(directory: string, port: number) {
    this.#directory = directory;
    this.port = port;
  }

  static async start(
    directory: string,
    tls: { readonly ca: string; readonly cert: string; readonly key: string },
  ): Promise<Rsyslog> {
    const made = new Rsyslog(directory, await freePort());
    mkdirSync(directory, { recursive: true });
    writeFileSync(
      made.#config,
      `global(workDirectory="${directory}" maxMessageSize="64k" DefaultNetstreamDriver="gtls"
  DefaultNetstreamDriverCAFile="${tls.ca}" DefaultNetstreamDriverCertFile="${tls.cert}" DefaultNetstreamDriverKeyFile="${tls.key}")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" port="${made.port}" address="127.0.0.1")
template(name="read" type="string" string="%msgid%\\t%syslogseverity-text%\\t%structured-data%\\t%msg%\\n")
action(type="omfile" file="${made.#file}" template="read")
`,
    );
    await made.restart();
    return made;
  }

  async restart(): Promise<void> {
    this.#server = new Running(
      'rsyslogd',
      ['-n', '-f', this.#config, '-i', path.join(this.#directory, 'pid')],
      {
        PATH: process.env['PATH'],
      },
    );
    await eventually('rsyslog listens', async () => {
      const { connect } = await import('node:net');
      return new Promise<boolean>((resolve) => {
        const socket = connect(this.port, '127.0.0.1', () => resolve(true));
        socket.once('error', () => resolve(false)).once('connect', () => socket.destroy());
      });
    });
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  /** As it parsed them. */
  received(): Received[] {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch {
      return [];
    }
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const [kind, severity, data, ...message] = line.split('\t');
        return { kind: kind!, severity: severity!, data: data!, message: message.join('\t') };
      });
  }

  get #config(): string {
    return path.join(this.#directory, 'rsyslog.conf');
  }

  get #file(): string {
    return path.join(this.#directory, 'received');
  }
}
