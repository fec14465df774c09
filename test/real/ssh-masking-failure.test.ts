/** A detector that fails while a program writes ends the session, with every channel in it: OpenSSH's own client and server. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { run, Running } from '../support/relay.ts';
import { startSshStage, type SshPort, type SshStage } from '../support/ssh-stage.ts';

const options = { skip: missing('openssh') };
const card = '4111 1111 1111 1111';
/** Its own text has no marker: recording the command does not fail. Short texts are not scanned in blocks. */
const faulty = `printf '%s %s%s %0200d\\n' '${card.slice(0, 9)}' '${card.slice(9)} fault-in' -detector 7`;
let stage: SshStage;
let env: NodeJS.ProcessEnv;

async function start(durability: 'process' | 'disk'): Promise<void> {
  const preloaded = path.resolve(import.meta.dirname, '../support/failing-scan.ts');
  stage = await startSshStage({
    environment: { NODE_OPTIONS: `--import=${preloaded}` },
    config: {
      masking: { rules: [{ name: 'personal', detect: ['card'] }] },
      evidence: { seal: { discardOriginals: true }, durability },
    },
  });
  await stage.lea.login(stage.installation.url);
  env = { PATH: process.env['PATH'], HOME: stage.directory, TERM: 'xterm' };
}

const why = 'values in this session cannot be masked, so the session ends';

/** Three connections of one session: a terminal, a program, and a second channel beside it. */
async function opened(port: SshPort) {
  const at = (...args: readonly string[]): string[] => [...port.options, '-p', String(port.port), ...args];
  const control = path.join(stage.directory, `control-${port.port}`);
  const terminal = new Running('ssh', at('-tt', '127.0.0.1'), env, 'pipe');
  const program = new Running(
    'ssh',
    at('-M', '-S', control, '127.0.0.1', `echo ${card}; echo up; exec sleep 60`),
    env,
  );
  await program.says(/up/);
  const beside = new Running('ssh', at('-S', control, '127.0.0.1', 'echo up; exec sleep 60'), env);
  await beside.says(/up/);
  terminal.child.stdin!.write("PS1='ready> '; echo u''p\r");
  await terminal.says(/\rup[^]*ready> $/);
  return { at, terminal, program, beside };
}

/** Of `session.closed`, when it is there. */
async function outcomeOf(session: string): Promise<string> {
  let outcome = '';
  await eventually('the log says that it is over', async () => {
    const { stdout } = await stage.lea.hoop('audit', 'export', '--format', 'jsonl', '--session', session);
    outcome = /"kind":"session.closed".*"outcome":"([a-z-]+)"/.exec(stdout)?.[1] ?? '';
    return outcome !== '';
  });
  return outcome;
}

for (const durability of ['process', 'disk'] as const)
  test(`every channel ends and is told, with durability ${durability}`, options, async () => {
    await start(durability);
    try {
      for (const terminal of [[], ['-tt']]) {
        const port = await stage.connect();
        const others = await opened(port);
        const faulted = await run('ssh', others.at(...terminal, '127.0.0.1', faulty), { env });
        assert.equal(faulted.code, 255);
        assert.ok(faulted.output.includes(`hoop: ${why}`), faulted.output);
        assert.doesNotMatch(faulted.output, /4111|1111|fault/);
        for (const other of [others.terminal, others.program, others.beside]) {
          assert.equal(await other.ended, 255);
          assert.ok(other.output.includes(`hoop: ${why}`), other.output);
        }
        await port.running.ended;
        assert.match(port.running.output, /session ended: the relay could not mask what came/);
        assert.equal(await outcomeOf(port.session), 'masking-failed');
      }
      assert.equal((await stage.verify()).code, 0);
    } finally {
      await stage.close();
    }
  });
