/** Which texts are a transfer program alone. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { transferOf } from '../../../../src/protocols/ssh/shell/transfers.ts';

const kindOf = (text: string): string | null => {
  const found = transferOf(Buffer.from(text));
  return found === null ? null : [found.kind, ...found.paths].join(' ');
};

test('transfer programs alone, as clients call them', () => {
  const table = {
    'scp -t /tmp': 'scp-sink /tmp',
    'scp -v -r -p -t -- /tmp/a': 'scp-sink /tmp/a',
    'scp -f /etc/passwd': 'scp-source /etc/passwd',
    "scp -f '/srv/a b' c": 'scp-source /srv/a b c',
    'scp -f *.log': 'scp-source *.log',
    '/usr/bin/scp -t .': 'scp-sink .',
    'rsync --server --sender -vlogDtpre.iLsfxCIvu . /etc': 'rsync /etc',
    'rsync --server -vlogDtpre.iLsfxCIvu --delete --timeout=5 . /dst/': 'rsync /dst/',
    "git-upload-pack '/srv/x.git'": 'git /srv/x.git',
    "git upload-archive '/srv/x.git'": 'git /srv/x.git',
    "git-receive-pack '/srv/x.git'": 'git /srv/x.git',
    '/usr/lib/openssh/sftp-server': 'sftp',
    '/usr/libexec/sftp-server': 'sftp',
    'internal-sftp': 'sftp',
  };
  for (const [text, expected] of Object.entries(table)) assert.equal(kindOf(text), expected, text);
});

test('anything beside them, or an option that does more, is none', () => {
  for (const text of [
    'scp',
    'scp a b:',
    'scp -t',
    'scp -t a b',
    'scp -tf a',
    'scp -S x -t a',
    'scp -t "$x"',
    'scp -t $(id)',
    'scp -t `id`',
    'scp -t a; id',
    'scp -t a;',
    'scp -t a &',
    'scp -t a | id',
    'scp -t a > b',
    'scp -t a # b',
    'scp -t a\nid',
    'scp -t a\n',
    '(scp -t a)',
    '! scp -t a',
    'if scp -t a; then id; fi',
    '{ scp -t a; }',
    'a=b scp -t a',
    'time scp -t a',
    'sudo scp -t a',
    './scp -t a',
    '/tmp/scp -t a',
    '$x -t a',
    'scp() { id; }',
    'lib/openssh/sftp-server',
    '/tmp/lib/openssh/sftp-server',
    'sftp-server -l x',
    'rsync a b',
    'rsync --server --daemon .',
    'rsync --server -e sh . x',
    'rsync --server -vlogDtpre.iLsfxCIvu x',
    'rsync --server --log-file=/x . y',
    'git status',
    'git -c a=b upload-pack x',
    'git-upload-pack --exec=x y',
    'git-upload-pack x y',
    'scp -t a\0',
    "scp -t '",
    'x'.repeat(9000),
  ])
    assert.equal(kindOf(text), null, text);
});
