/** Opening a page in the person's browser: a convenience that must never fail a command. */

/**
 * @param address from an identity provider: only http and https are opened, nothing that could start a program
 * @returns whether a browser was started
 */
export async function openBrowser(
  address: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<boolean> {
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol) || !hasDesktop(environment)) return false;
  try {
    const { default: open } = await import('open');
    const child = await open(url.href);
    // Without a listener a missing xdg-open would end the process.
    child.on('error', () => undefined);
    return true;
  } catch {
    return false;
  }
}

/** `open` succeeds even where nobody can see a window. */
function hasDesktop(environment: NodeJS.ProcessEnv): boolean {
  // Over SSH a window would open where nobody sits, or far away over a forwarded display.
  const away = ['SSH_CONNECTION', 'SSH_CLIENT', 'SSH_TTY', 'CI'];
  if (away.some((name) => (environment[name] ?? '') !== '')) return false;
  if (process.platform !== 'linux') return true;
  return (environment.DISPLAY ?? '') !== '' || (environment.WAYLAND_DISPLAY ?? '') !== '';
}
