import type { RelayConfig } from '../relay/config/config.ts';
import type { SshTargetConfig } from '../relay/config/targets.ts';
import { OperatorError } from './operator-error.ts';

/** @throws OperatorError `target-not-configured` */
export function sshTarget({ targets }: RelayConfig, name: string): SshTargetConfig {
  const target = [...targets.values()].find((each) => each.name === name);
  if (target?.protocol === 'ssh') return target;
  const names = [...targets.values()].filter(({ protocol }) => protocol === 'ssh').map((each) => each.name);
  throw new OperatorError('target-not-configured', `relay.yaml has no SSH target ${name}`, {
    hint: names.length === 0 ? 'targets with protocol: ssh have host keys' : `there are: ${names.join(', ')}`,
  });
}
