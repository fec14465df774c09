import { test } from 'node:test';
import assert from 'node:assert/strict';
import { commandTable } from '../../../src/cli/audit/command-table.ts';
import { readEvents } from '../../../src/evidence/read/events.ts';
import { EventView } from '../../../src/wire/audit.ts';
import { History, serverSession } from '../../evidence/read/history.ts';

test('of a server: by channel, lines and files under their program, how they became known, how they ended', async () => {
  await using history = await new History().open();
  await (await serverSession(history)).end();
  const commands: EventView[] = [];
  for await (const event of readEvents(history.directory, {}))
    if (event.kind === 'command') commands.push(EventView.parse(event));
  const [heads, rows] = commandTable('ssh', commands);
  const wanted = ['channel', 'command', 'outcome', 'result', 'text', 'environment'].map((head) =>
    heads.indexOf(head),
  );
  assert.deepEqual(
    rows.map((row) => wanted.map((column) => row[column])),
    [
      ['1', '1', 'succeeded', 'exit 0', 'shell', '["LANG=C.UTF-8","TZ=UTC"]'],
      ['1', '2', 'unknown', null, '  cat /etc/shadow (reconstructed)', null],
      ['1', '7', 'succeeded', 'exit 0', '  exit 0', null],
      ['2', '3', 'failed', 'exit 3', 'build --all', null],
      ['3', '4', 'succeeded', 'exit 0', 'subsystem sftp', null],
      ['3', '5', 'succeeded', `3 bytes sha256:${'0'.repeat(64)}`, '  get /srv/data', null],
      ['4', '6', 'succeeded', null, 'forward local db.internal:5432', null],
    ],
  );
});
