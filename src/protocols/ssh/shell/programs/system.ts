/** Programs that change the machine: services, disks, packages, the kernel, accounts. */
import { optionList, readOptions } from '../options.ts';
import { acts, filesIn, named, type Rule, type Rules } from '../rules.ts';
import type { Word } from '../words.ts';

const unitOptions = optionList(
  'alqr t: n: p: o: --no-pager --full --all --type= --state= --lines= --output= --quiet --user --system --failed --no-legend --plain --property= --value --now --force',
);
const unitReads =
  /^(status|show|cat|list-[a-z-]+|is-active|is-enabled|is-failed|is-system-running|get-default|help|show-environment|list|session-status|user-status|show-user|show-session)$/;
const unitCode = /^(edit|set-environment|import-environment|daemon-reexec)$/;

/** systemctl, loginctl …: the first operand says what. They show pages in a pager. */
const units: Rule = ({ args, isOnTerminal }, { facts }) => {
  const { isSure, given, operands } = readOptions(args, unitOptions);
  const [verb, ...names] = operands;
  const isRead = verb === undefined || (verb.literal && unitReads.test(verb.text));
  facts.add(isRead ? 'read' : 'system');
  const isPaged = isOnTerminal && !given.has('--no-pager') && verb?.text.startsWith('is-') !== true;
  if (!isSure || (isRead && isPaged) || (verb !== undefined && (!verb.literal || unitCode.test(verb.text))))
    facts.add('code');
  for (const name of names) if (name.prefix.includes('/')) facts.path(name);
};

const journalOptions = optionList(
  'fxekqral n: u: b? p: o: t: S: U: g: _: --no-pager --unit= --since= --until= --lines= --follow --output= --priority= --boot? --grep= --utc --list-boots --disk-usage --quiet --reverse --no-hostname',
);

const journal: Rule = ({ args, isOnTerminal }, { facts }) => {
  const { isSure, given, operands } = readOptions(args, journalOptions);
  facts.add(isSure ? 'read' : 'system');
  if (isOnTerminal && !given.has('--no-pager')) facts.add('code');
  for (const word of operands) if (word.prefix.startsWith('/')) facts.path(word);
};

/** Reads when its first operand is one of these and no option is given but these. */
function reading(verbs: RegExp, options: string, otherwise: Rule): Rule {
  const list = optionList(options);
  return (call, run) => {
    const { isSure, operands } = readOptions(call.args, list);
    const [verb] = operands;
    const isRead = isSure && operands.every(({ literal }) => literal) && verbs.test(verb?.text ?? '');
    if (!isRead) return otherwise(call, run);
    run.facts.add('read');
    if (call.name === 'apt' && call.isOnTerminal) run.facts.add('code');
    return undefined;
  };
}

const isLocalPackage = ({ prefix, literal }: Word): boolean =>
  !literal || prefix.includes('/') || prefix.includes('=');

/** Packages of the distribution; those of a file, and settings given by hand, may be anybody's. */
const packages: Rule = ({ args }, { facts }) => {
  facts.add('system', 'network');
  if (args.some((word) => isLocalPackage(word) || /^-(o|c|-option|-config|-set|-root|D)/.test(word.prefix)))
    facts.add('code');
  filesIn(
    args.filter(({ prefix }) => prefix.includes('/')),
    facts,
  );
};

const packageFiles: Rule = (call, run) => {
  acts('system', 'code')(call, run);
};

const dpkg: Rule = ({ args, isOnTerminal }, run) => {
  const isRead =
    args.every(({ literal }) => literal) &&
    args.every(
      ({ text }) =>
        !text.startsWith('-') ||
        /^-([lsLSWp]|-list|-status|-listfiles|-search|-get-selections|-print-architecture)$/.test(text),
    ) &&
    args.length > 0;
  if (!isRead) return packageFiles({ name: 'dpkg', args, isOnTerminal }, run);
  run.facts.add('read');
  if (isOnTerminal) run.facts.add('code');
  return undefined;
};

const rpm: Rule = (call, run) => {
  const { args } = call;
  const isRead =
    /^(-q[ailfcdRV]*|--query)$/.test(args[0]?.text ?? '') &&
    args.every(
      ({ literal, text }, at) =>
        literal && (at === 0 || /^[\w/.+-]+$/.test(text)) && (at === 0 || !text.startsWith('-')),
    );
  if (!isRead) return packageFiles(call, run);
  run.facts.add('read');
  filesIn(
    args.filter(({ text }) => text.startsWith('/')),
    run.facts,
  );
  return undefined;
};

const sysctl: Rule = ({ args }, { facts }) => {
  const isRead = args.every(
    ({ literal, text }) => literal && /^(-[aneNb]+|[\w./-]+)$/.test(text) && !/^-.*[wpf]/.test(text),
  );
  facts.add(isRead ? 'read' : 'system');
  if (args.some(({ literal, text }) => !literal || /core_pattern|modprobe|hotplug/.test(text)) && !isRead)
    facts.add('code');
  filesIn(
    args.filter(({ prefix }) => prefix.startsWith('/')),
    facts,
  );
};

const mount: Rule = ({ args }, { facts }) => {
  facts.add(args.length === 0 ? 'read' : 'system');
  filesIn(args, facts);
};

const crontab: Rule = ({ args }, { facts }) => {
  const { isSure, given, operands } = readOptions(args, optionList('l u:'));
  if (isSure && given.has('l') && operands.length === 0) facts.add('read');
  else facts.add('system', 'code');
  if (given.has('u')) facts.add('privilege');
  filesIn(operands, facts);
};

const ipOptions = optionList(
  '+ 46sdojpc -br -brief -details -statistics -json -color? -oneline -4 -6 --json --brief',
);
const ipObjects = /^(a|addr|address|l|link|r|ro|route|n|neigh|neighbour|ru|rule|maddr|mroute|tunnel|token)$/;

const ip: Rule = ({ args }, { facts }) => {
  const { isSure, operands } = readOptions(args, ipOptions);
  const [object, verb, ...rest] = operands;
  const isRead =
    isSure &&
    operands.every(({ literal }) => literal) &&
    ipObjects.test(object?.text ?? '') &&
    (verb === undefined || /^(s|sh|show|ls|list|get)$/.test(verb.text)) &&
    rest.every(({ text }) => /^[\w.:/@-]+$/.test(text));
  facts.add(isRead ? 'read' : 'system');
  if (!isSure || (!isRead && /^(netns|vrf)$|^-?b/.test(object?.text ?? ''))) facts.add('code');
};

const ifconfig: Rule = ({ args }, { facts }) => {
  const isRead =
    args.every(({ literal, text }) => literal && /^(-a|-s|[\w.:-]+)$/.test(text)) && args.length < 2;
  facts.add(isRead ? 'read' : 'system');
};

const machine =
  'fdisk parted sfdisk gdisk sgdisk cfdisk wipefs mkswap swapon swapoff umount losetup mdadm cryptsetup dmsetup ' +
  'pvcreate pvremove vgcreate vgremove lvcreate lvremove lvextend lvresize resize2fs tune2fs e2fsck xfs_repair ' +
  'xfs_growfs blockdev hdparm fsck blkdiscard fstrim reboot shutdown halt poweroff init telinit kexec kill pkill ' +
  'killall killall5 skill snice renice insmod rmmod modprobe depmod iptables ip6tables iptables-save ip6tables-save ' +
  'nft ufw firewall-cmd ebtables arptables ipset tc route ethtool hwclock ntpdate chronyc udevadm swaplabel service ' +
  'invoke-rc.d update-rc.d chkconfig rc-service rc-update initctl sync quotaon quotaoff setenforce sethostname ldconfig';
const runsCode =
  'iptables-restore ip6tables-restore systemd-run at batch anacron run-parts start-stop-daemon update-alternatives';
const accounts =
  'useradd usermod userdel groupadd groupmod groupdel adduser addgroup deluser delgroup gpasswd passwd chpasswd ' +
  'chage newusers chsh chfn newgrp setsebool semanage chcon restorecon';

export const system: Rules = {
  ...named('systemctl loginctl hostnamectl timedatectl localectl', units),
  journalctl: journal,
  ...named('apt apt-get dnf yum zypper apk pacman microdnf tdnf', packages),
  ...named(
    'apt-cache',
    reading(/^(show|search|policy|depends|rdepends|showpkg|stats)$/, 'n --names-only', packages),
  ),
  ...named('apt-mark snap flatpak brew', packages),
  apt: reading(
    /^(list|show|search|policy)$/,
    'n --installed --upgradable --all-versions --names-only',
    packages,
  ),
  dpkg,
  'dpkg-query': dpkg,
  rpm,
  sysctl,
  mount,
  crontab,
  ip,
  ifconfig,
  ...named(machine, acts('system')),
  ...named(runsCode, acts('system', 'code')),
  ...named(accounts, acts('privilege', 'system')),
  setpriv: acts('privilege', 'code'),
  ...named('sg login pkexec capsh', acts('privilege', 'code')),
};

/** `mkfs.ext4`, `fsck.xfs`. */
export const isMachineProgram = (name: string): boolean =>
  /^(mkfs|fsck|mke2fs|mkntfs|mkdosfs)([.\w-]*)$/.test(name);
