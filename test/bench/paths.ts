/**
 * The ways from client to server that the bench compares. Each gives a port on 127.0.0.1 that speaks PostgreSQL; the
 * two foreign ones are what people use when they only want the wire encrypted: two hops, TLS 1.3 between them,
 * nothing parsed, nothing recorded.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { freePort } from '../../src/cli/demo/cluster.ts';
import { findProgram } from '../support/programs.ts';
import type { Stage } from '../support/relay.ts';

export interface Path {
  readonly name: string;
  readonly port: number;
  /** Processes at the client's side and at the server's side; for CPU and memory. */
  readonly near: readonly number[];
  readonly far: readonly number[];
  stop(): Promise<void>;
}

export interface Material {
  /** Directory for configuration files. */
  readonly directory: string;
  /** The server that every path ends at. */
  readonly serverPort: number;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export const direct = (serverPort: number): Path => ({
  name: 'direct',
  port: serverPort,
  near: [],
  far: [],
  stop: () => Promise.resolve(),
});

export async function stunnelPair(material: Material): Promise<Path> {
  const [near, far] = [await freePort(), await freePort()];
  const common =
    'foreground = yes\nsyslog = no\ndebug = crit\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n';
  const nearSide = `${common}[near]\nclient = yes\naccept = 127.0.0.1:${near}\nconnect = 127.0.0.1:${far}
CAfile = ${material.caFile}\nverifyChain = yes\ncheckHost = localhost\n`;
  const farSide = `${common}[far]\naccept = 127.0.0.1:${far}\nconnect = 127.0.0.1:${material.serverPort}
cert = ${material.certFile}\nkey = ${material.keyFile}\n`;
  const program = findProgram('stunnel4')!;
  const children = [
    start(program, [file(material, 'stunnel-near.conf', nearSide)]),
    start(program, [file(material, 'stunnel-far.conf', farSide)]),
  ];
  return pair('stunnel pair', near, children);
}

export async function haproxyPair(material: Material): Promise<Path> {
  const [near, far] = [await freePort(), await freePort()];
  const defaults =
    'global\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n';
  const both = `${material.directory}/haproxy.pem`;
  writeFileSync(both, readFileSync(material.certFile, 'utf8') + readFileSync(material.keyFile, 'utf8'));
  const nearSide = `${defaults}listen near\n  bind 127.0.0.1:${near}
  server far 127.0.0.1:${far} ssl verify required ca-file ${material.caFile} sni str(localhost) verifyhost localhost\n`;
  const farSide = `${defaults}listen far\n  bind 127.0.0.1:${far} ssl crt ${both}
  server target 127.0.0.1:${material.serverPort}\n`;
  const program = findProgram('haproxy')!;
  const children = [
    start(program, ['-db', '-q', '-f', file(material, 'haproxy-near.cfg', nearSide)]),
    start(program, ['-db', '-q', '-f', file(material, 'haproxy-far.cfg', farSide)]),
  ];
  return pair('haproxy pair', near, children);
}

/** A session of Ana's in the foreground: local agent, TLS, relay with policy and recording. */
export async function hoopPath(name: string, stage: Stage): Promise<Path> {
  const { port, running } = await stage.connect();
  return {
    name,
    port,
    near: [running.child.pid!],
    far: [stage.installation.relay.child.pid!],
    stop: async () => {
      await running.stop('SIGINT');
    },
  };
}

function file(material: Material, name: string, text: string): string {
  const full = path.join(material.directory, name);
  writeFileSync(full, text);
  chmodSync(full, 0o644);
  return full;
}

function start(program: string, options: readonly string[]): ChildProcess {
  return spawn(program, options, { stdio: ['ignore', 'ignore', 'inherit'] });
}

async function pair(name: string, port: number, children: readonly ChildProcess[]): Promise<Path> {
  await accepting(port, children);
  const [near, far] = children.map((child) => [child.pid!]);
  return {
    name,
    port,
    near: near!,
    far: far!,
    stop: async () => {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }
    },
  };
}

/** Resolves when the port answers PostgreSQL's SSLRequest, that is when the whole path stands. */
async function accepting(port: number, children: readonly ChildProcess[]): Promise<void> {
  for (;;) {
    if (children.some((child) => child.exitCode !== null))
      throw new Error(`a program for port ${port} ended`);
    if (await answers(port)) return;
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])));
    socket.once('data', () => {
      resolve(true);
      socket.destroy();
    });
    socket.once('error', () => setTimeout(resolve, 20, false));
    socket.once('end', () => setTimeout(resolve, 20, false));
  });
}
