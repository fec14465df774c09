/** How far an export is, on stderr, where that is a terminal: a bar, the rate, and the time that is left. */
import type { BundlePhase, BundleProgress } from '../../evidence/bundle/bundle.ts';

const redrawMs = 100;
const width = 24;

export class BundleBar implements BundleProgress {
  readonly #out: NodeJS.WriteStream | null;
  readonly #now: () => number;
  readonly #say: (line: string) => void;
  #phase: BundlePhase | null = null;
  #total: number | null = null;
  #done = 0;
  #beganMs = 0;
  #drawnMs = -Infinity;

  /** @param shown false: says nothing */
  constructor(shown: boolean, out: NodeJS.WriteStream = process.stderr, now = () => performance.now()) {
    this.#out = shown && out.isTTY ? out : null;
    this.#now = now;
    this.#say = shown ? (line) => out.write(`${line}\n`) : () => undefined;
  }

  /** An interrupted export is read again. */
  resumed(bytes: number): void {
    this.#draw(`going on behind ${quantity(bytes, true)}`, false);
  }

  phase(name: BundlePhase, total: number | null): void {
    [this.#phase, this.#total, this.#done, this.#beganMs] = [name, total, 0, this.#now()];
    this.#draw(this.#line(), true);
  }

  advanced(count: number): void {
    this.#done += count;
    this.#draw(null, false);
  }

  /** A line that stays, terminal or not. */
  say(line: string): void {
    this.#say(line);
  }

  /** Takes the bar away. */
  end(): void {
    this.#out?.write('\r\u001b[K');
  }

  /** @param line null: made when it is time to draw */
  #draw(line: string | null, now: boolean): void {
    if (this.#out === null) return;
    const atMs = this.#now();
    if (!now && atMs - this.#drawnMs < redrawMs) return;
    this.#drawnMs = atMs;
    this.#out.write(
      `\r\u001b[K${(line ?? this.#line()).slice(0, Math.max(1, (this.#out.columns ?? 80) - 1))}`,
    );
  }

  #line(): string {
    const inBytes = this.#phase === 'recordings';
    const seconds = (this.#now() - this.#beganMs) / 1000;
    const perSecond = seconds > 0 ? this.#done / seconds : 0;
    const rate = seconds > 1 ? `  ${quantity(perSecond, inBytes)}/s` : '';
    const name = `  ${(this.#phase ?? '').padEnd(11)}`;
    if (this.#total === null) return `${name}${this.#done === 0 ? '' : quantity(this.#done, inBytes)}${rate}`;
    // What was foreseen may be passed: a range leaves out events, a live session adds none.
    const share = this.#total === 0 ? 1 : Math.min(1, this.#done / this.#total);
    const filled = Math.round(share * width);
    const left = seconds > 1 && perSecond > 0 ? (this.#total - this.#done) / perSecond : null;
    const time = left === null || left < 0 ? '' : `  ${clock(left)} left`;
    const bar = `${'━'.repeat(filled)}${'·'.repeat(width - filled)}`;
    return `${name}${bar} ${String(Math.floor(share * 100)).padStart(3)} % of ${quantity(this.#total, inBytes)}${rate}${time}`;
  }
}

const units = ['', 'k', 'M', 'G', 'T'] as const;

/** `1.2 GB`, `340 k`. */
function quantity(count: number, inBytes: boolean): string {
  const power = count < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  const digits = power === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[power]}${inBytes ? 'B' : ''}`.trimEnd();
}

const two = (part: number): string => String(part).padStart(2, '0');

/** `0:07`, `12:31`, `2:00:05`. */
function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
