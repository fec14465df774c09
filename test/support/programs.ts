/**
 * Foreign programs that the tests use, in one place: where each is looked for, which Debian packages bring it, and
 * what is not shown without it. Every one is optional: a test that needs one says `{skip: missing('haproxy')}`.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { findPostgres } from '../../src/cli/demo/cluster.ts';

interface Program {
  readonly packages: readonly string[];
  readonly purpose: string;
  /** Programs (looked for on PATH and in the system's directories) or absolute files; all must be there. */
  readonly needs: readonly string[];
}

const lemonldap = {
  packages: [
    'lemonldap-ng',
    'libcrypt-openssl-rsa-perl',
    'libgd-securityimage-perl',
    'libimage-magick-perl',
    'libio-string-perl',
    'libmouse-perl',
    'libplack-perl',
    'libstring-random-perl',
  ],
  purpose: 'a real OpenID provider without a device grant, as upstream of the relay’s own',
  needs: [
    'plackup',
    '/usr/share/lemonldap-ng/portal/htdocs/index.psgi',
    '/usr/share/perl5/GD/SecurityImage/Magick.pm',
    '/usr/share/perl5/IO/String.pm',
    '/usr/share/perl5/String/Random.pm',
  ],
} satisfies Program;

export const programs = {
  postgresql: {
    packages: ['postgresql', 'postgresql-client'],
    purpose: 'the real server and psql, pg_dump, pgbench: everything on the data path',
    needs: [],
  },
  openssl: { packages: ['openssl'], purpose: 'certificates of the tests’ own authority', needs: ['openssl'] },
  jdbc: {
    packages: ['default-jdk-headless', 'libpostgresql-jdbc-java'],
    purpose: 'PostgreSQL’s JDBC driver through the relay',
    needs: ['java', 'javac', '/usr/share/java/postgresql.jar'],
  },
  stunnel: { packages: ['stunnel4'], purpose: 'the bench compares with a stunnel pair', needs: ['stunnel4'] },
  haproxy: { packages: ['haproxy'], purpose: 'the bench compares with a haproxy pair', needs: ['haproxy'] },
  go: {
    packages: ['golang-go', 'golang-golang-x-mod-dev'],
    purpose: 'Go’s own note and tlog packages read a real log',
    needs: ['go', '/usr/share/gocode/src/golang.org/x/mod'],
  },
  keyring: {
    packages: ['gnome-keyring', 'dbus', 'dbus-bin'],
    purpose: 'tokens in a real secret service',
    needs: ['gnome-keyring-daemon', 'dbus-run-session'],
  },
  openssh: {
    packages: ['openssh-server', 'openssh-client', 'openssh-sftp-server'],
    purpose: 'a real server behind the relay, and ssh, scp and sftp in front of it',
    needs: ['sshd', 'ssh', 'scp', 'sftp', 'ssh-keygen'],
  },
  tmux: {
    packages: ['tmux'],
    purpose: 'keys of a replay in a real terminal, which is given back as it was',
    needs: ['tmux'],
  },
  script: {
    packages: ['bsdutils'],
    purpose: 'ssh in a terminal, whose output is compared',
    needs: ['script', 'stty'],
  },
  asciinema: { packages: ['asciinema'], purpose: 'exported asciicasts play', needs: ['asciinema'] },
  x11: {
    packages: ['xvfb', 'x11-utils', 'xauth'],
    purpose: 'X11 forwarded through the relay, with a real server and client',
    needs: ['Xvfb', 'xdpyinfo', 'xauth'],
  },
  transfers: {
    packages: ['rsync', 'git'],
    purpose: 'rsync and git over SSH through the relay',
    needs: ['rsync', 'git'],
  },
  ansible: {
    packages: ['ansible-core'],
    purpose: 'a playbook over SSH through the relay',
    needs: ['ansible-playbook'],
  },
  softhsm: {
    packages: ['softhsm2', 'openssl'],
    purpose: 'the log’s key on a real PKCS#11 token',
    needs: ['softhsm2-util', 'openssl', '/usr/lib/softhsm/libsofthsm2.so'],
  },
  age: { packages: ['age'], purpose: 'sealed originals are opened by age itself', needs: ['age'] },
  zstd: { packages: ['zstd'], purpose: 'segments are decompressed by zstd itself', needs: ['zstd'] },
  sftp: {
    packages: ['openssh-client', 'openssh-sftp-server'],
    purpose: 'files go through hoop with OpenSSH’s own sftp, scp and sftp-server',
    needs: ['ssh', 'sftp', 'scp', '/usr/lib/openssh/sftp-server'],
  },
  shells: {
    packages: ['bash', 'dash', 'zsh', 'fish', 'vim', 'less', 'python3'],
    purpose: 'command lines of real interactive shells, under a terminal that python opens',
    needs: ['bash', 'dash', 'zsh', 'fish', 'vim', 'less', 'python3'],
  },
  chromium: {
    packages: ['chromium'],
    purpose:
      'the pages of a device sign-in in a real browser: keyboard, contrast, phone, no script; a report opens without a network',
    needs: ['chromium'],
  },
  glewlwyd: {
    packages: ['glewlwyd', 'sqlite3'],
    purpose: 'a real OpenID provider of somebody else: device grant, DPoP',
    needs: ['glewlwyd', 'sqlite3', '/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3'],
  },
  simplesamlphp: {
    packages: ['simplesamlphp', 'php-cli', 'php-xml', 'openssl'],
    purpose: 'hoop login through a foreign SAML identity provider',
    needs: ['php', 'openssl', '/usr/share/simplesamlphp/www/saml2/idp/SSOService.php'],
  },
  lemonldap,
  lemonldapSaml: {
    packages: [...lemonldap.packages, 'liblasso-perl', 'libxml-simple-perl'],
    purpose: 'hoop login through a SAML identity provider that is built on Lasso',
    // Lasso itself lies where the version of Perl and the machine's architecture say.
    needs: [...lemonldap.needs, '/usr/share/doc/liblasso-perl/copyright', '/usr/share/perl5/XML/Simple.pm'],
  },
  rsyslog: {
    packages: ['rsyslog', 'rsyslog-gnutls'],
    purpose: 'a real syslog server takes the stream over TLS',
    needs: ['rsyslogd', '/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so'],
  },
  s3cmd: {
    packages: ['s3cmd'],
    purpose: 'a foreign S3 client agrees with the tests’ own S3 server',
    needs: ['s3cmd'],
  },
  zip: {
    packages: ['unzip', 'python3'],
    purpose: 'bundles are read by other programs, and verified by hand as their README says',
    needs: ['unzip', 'python3', 'sha256sum'],
  },
  faketime: {
    packages: ['faketime'],
    purpose: 'the wall clock of a running relay jumps',
    needs: ['/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'],
  },
  strace: {
    packages: ['strace'],
    purpose: 'each system call of a relay’s life, after which the power is cut',
    needs: ['strace'],
  },
  python: { packages: ['python3'], purpose: 'a foreign reader of CSV and JSON exports', needs: ['python3'] },
} satisfies Record<string, Program>;

export type ProgramName = keyof typeof programs;

const system = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin'];

/** Full path of a program, or null. */
export function findProgram(name: string): string | null {
  if (path.isAbsolute(name)) return existsSync(name) ? name : null;
  const directories = [...(process.env['PATH'] ?? '').split(path.delimiter), ...system];
  return directories.map((directory) => path.join(directory, name)).find((file) => existsSync(file)) ?? null;
}

/** False when it is there; else the reason for a skipped test. */
export function missing(name: ProgramName): string | false {
  const { packages, needs }: Program = programs[name];
  const found = name === 'postgresql' ? hasPostgres() : needs.every((need) => findProgram(need) !== null);
  return found ? false : `${name} is not installed (Debian: ${packages.join(' ')})`;
}

function hasPostgres(): boolean {
  const directory = findPostgres();
  return directory !== null && existsSync(path.join(directory, 'psql'));
}
