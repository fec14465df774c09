/**
 * Variables whose values programs and shells obey: whoever sets one of them decides what runs later.
 */

/** Names that shells and programs obey: any that is exported may be one, but for these. */
const harmless =
  /^(LANG|LANGUAGE|LC_(ALL|COLLATE|CTYPE|MESSAGES|MONETARY|NUMERIC|TIME)|TZ|TERM|COLUMNS|LINES|NO_COLOR|COLORTERM|DEBIAN_FRONTEND|OLDPWD|GREP_COLOR|GREP_COLORS|CLICOLOR|HOSTNAME|USER|LOGNAME|SYSTEMD_COLORS)$/;
/** Lower-case names that zsh obeys. */
const zshNames =
  /^(path|fpath|cdpath|manpath|mailpath|module_path|fignore|prompt|psvar|watch|argv|status|pipestatus|[a-z]+_proxy|\w+_functions|precmd|preexec|chpwd)$/;

/** A variable whose value may make something run. Lower case is nobody's but the text's own, until it is exported. */
export function isTelling(name: string, isExported = false): boolean {
  if (harmless.test(name)) return false;
  return isExported || !/^[a-z_][a-z0-9_]*$/.test(name) || zshNames.test(name);
}
