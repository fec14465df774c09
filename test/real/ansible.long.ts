/** Ansible through the relay: a playbook over `hoop ssh-config`, with nothing else changed. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from '../support/relay.ts';
import { missing } from '../support/programs.ts';
import { startSshStage, type SshStage } from '../support/ssh-stage.ts';

const skip = missing('openssh') || missing('ansible');
let stage: SshStage;
let config: string;
let work: string;

before(async () => {
  if (skip !== false) return;
  stage = await startSshStage();
  const home = stage.ana.env['HOME']!;
  config = path.join(home, '.ssh', 'config');
  work = path.join(stage.directory, 'work');
  mkdirSync(path.dirname(config), { mode: 0o700 });
  mkdirSync(work);
  const written = await stage.ana.hoop('ssh-config', '--write');
  assert.equal(written.code, 0, written.output);
});
after(() => stage?.close());

test('a playbook of Ansible: facts, a file, a command, changed once', { skip }, async () => {
  const made = path.join(work, 'made by ansible');
  const tasks = [
    { 'ansible.builtin.copy': { dest: made, content: 'figures\n', mode: '0640' } },
    { 'ansible.builtin.command': `wc -c "${made}"`, register: 'counted', changed_when: false },
    {
      'ansible.builtin.assert': {
        that: ["counted.stdout.startswith('8 ')", 'ansible_facts.system == "Linux"'],
      },
    },
  ];
  const file = path.join(work, 'playbook.json');
  writeFileSync(file, JSON.stringify([{ hosts: 'all', tasks }]));
  const play = () =>
    run('ansible-playbook', ['-i', 'server.hoop,', file], {
      env: {
        ...stage.ana.env,
        LC_ALL: 'C.UTF-8',
        ANSIBLE_SSH_ARGS: `-F ${config}`,
        ANSIBLE_REMOTE_TEMP: path.join(work, 'ansible'),
        ANSIBLE_PYTHON_INTERPRETER: '/usr/bin/python3',
      },
    });
  const first = await play();
  assert.equal(first.code, 0, first.output);
  assert.match(first.stdout, /server\.hoop +: ok=4 +changed=1 .*failed=0/);
  assert.equal(readFileSync(made, 'utf8'), 'figures\n');
  const second = await play();
  assert.match(second.stdout, /server\.hoop +: ok=4 +changed=0 .*failed=0/);
});
