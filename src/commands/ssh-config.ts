import * as Flags from '@oclif/core/flags';
import { directories } from '../agent/directories.ts';
import { installSshConfig, otherHome, sshConfig } from '../agent/ssh-config.ts';
import { RelayCommand } from '../cli/relay-command.ts';

export default class SshConfigCommand extends RelayCommand {
  static override description =
    'configuration for ssh, scp, sftp, rsync, git and ansible: NAME.hoop is the server NAME';
  static override examples = [
    '<%= config.bin %> ssh-config --write',
    '<%= config.bin %> ssh-config >> my_ssh_config',
  ];
  static override flags = {
    write: Flags.boolean({
      description: 'into a file of hoop’s own, and one Include line into ~/.ssh/config',
      default: false,
    }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(SshConfigCommand);
    // Only what was named: the variable may be another one when ssh is run.
    const named = [
      ...(flags.profile === undefined ? [] : ['--profile', flags.profile]),
      ...(flags.relay === undefined ? [] : ['--relay', flags.relay]),
    ];
    const [program, ...first] = this.agentCommand();
    const config = sshConfig(directories().config, [program, ...first], named);
    const { file, content, userFile, include } = config;
    if (!flags.write) {
      this.print(content.trimEnd());
      return { content };
    }
    const changed = await installSshConfig(config);
    this.print(changed ? `${userFile} includes ${file} now` : `${userFile} includes ${file} already`);
    const other = otherHome(config);
    if (other !== null)
      this.note(`ssh itself reads ${other}, whatever HOME says; put this line first there: ${include}`);
    return { file, userFile, changed };
  }
}
