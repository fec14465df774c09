/** A relay that is killed in the middle of a session: what a client was shown is in the record, and it verifies. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { hoop, Running } from '../support/relay.ts';
import { startSshStage } from '../support/ssh-stage.ts';

test('kill -9 while a program writes', { skip: missing('openssh') }, async (context) => {
  const stage = await startSshStage();
  context.after(() => stage.close());
  const port = await stage.connect();
  const env = { PATH: process.env['PATH'], HOME: stage.directory };
  const args = [
    ...port.options,
    '-p',
    String(port.port),
    '127.0.0.1',
    'i=0; while :; do i=$((i+1)); echo line $i; done',
  ];
  const ssh = new Running('ssh', args, env);
  await ssh.says(/line 20000\n/);
  const relay = stage.installation.relay.child;
  relay.kill('SIGKILL');
  await once(relay, 'exit');
  await port.running.stop('SIGINT');
  await ssh.ended;
  await stage.installation.start();
  const shown = ssh.stdout;
  const dir = ['--dir', stage.installation.evidence];
  const replayed = await eventually('the record was recovered', async () => {
    const result = await hoop(['audit', 'replay', port.session, ...dir], { env: stage.installation.env });
    return result.code === 0 && result;
  });
  assert.ok(
    replayed.stdout.startsWith(shown),
    `${shown.length} bytes were shown, ${replayed.stdout.length} are recorded`,
  );
  const { code, output } = await stage.verify();
  assert.equal(code, 0, output);
});
