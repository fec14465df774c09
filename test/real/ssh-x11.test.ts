/** X11 through the relay, where a policy permits it: a real X server, and a real client of it at the target. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { run } from '../support/relay.ts';
import { startSshStage } from '../support/ssh-stage.ts';

const skip = missing('openssh') || missing('x11');
const commands =
  '@id("commands") permit (principal, action in [Action::"connect", Action::"execute"], resource);';
const x11 =
  'permit (principal, action == Action::"forward", resource) when { context.destinations == ["x11"] };';

for (const [what, policy, permitted] of [
  ['refused without a policy that permits it', commands, false],
  ['permitted by a policy that names it', `${commands} ${x11}`, true],
] as const)
  test(`X11: ${what}`, { skip }, async (context) => {
    const stage = await startSshStage({ policy });
    context.after(() => stage.close());
    const port = await stage.connect();
    const display = 100 + (port.port % 500);
    const server = spawn('Xvfb', [`:${display}`, '-screen', '0', '320x200x24', '-ac'], { stdio: 'ignore' });
    context.after(() => server.kill());
    await eventually('the X server is up', async () => existsSync(`/tmp/.X11-unix/X${display}`));
    const env = { PATH: process.env['PATH'], HOME: stage.directory, DISPLAY: `:${display}` };
    const args = ['-Y', ...port.options, '-p', String(port.port), '127.0.0.1', 'xdpyinfo'];
    const { stdout, code } = await run('ssh', args, { env });
    assert.equal(/dimensions: +320x200 pixels/.test(stdout), permitted, stdout);
    assert.equal(code === 0, permitted);
    await port.running.stop('SIGINT');
    assert.equal((await stage.verify()).code, 0);
  });
