/** What `TerminalLines` tells its owner about lines, and needs of it. */

export interface CommandLine {
  /** Unique in the channel, from 1. */
  readonly line: number;
  /** As shown, without the prompt; never what the screen did not show. Line breaks where the line has some. */
  readonly text: string;
  /** `marked`: the shell told where its prompt ends (OSC 133, OSC 633). */
  readonly how: 'reconstructed' | 'marked';
  /** False: the program may get another line than this text. To be decided as `unknown` too. */
  readonly exact: boolean;
  /** The person typed something that the screen does not show: a password, or a command with the echo off. */
  readonly hidden: boolean;
  /** What stands before it on its row, at most 200 characters: `Password: `. */
  readonly prompt: string;
}

export interface LineOwner {
  /** Input that may go to the target now, in order. The bytes are the owner's. */
  forward(bytes: Buffer): void;
  /** A line is about to be submitted. `wait`: `proceed` or `refuse` is called later, not from within this call. */
  line(line: CommandLine): 'allow' | 'deny' | 'wait';
  /** The person does not wait for this line any more; it is cleared at the target. */
  withdrawn(line: number): void;
  /** The shell says that this line has ended; lines that it does not mark never do. */
  finished(line: number, exitCode: number | null): void;
  /**
   * A line ran that is not the one decided: the shell says so itself, or the screen showed another after Enter. `line` null:
   * no line was told at all.
   */
  differs(line: number | null, text: string, how: 'reconstructed' | 'marked'): void;
  /** `waitingBytes` has gone down to nothing. */
  drained(): void;
}

/** Time comes from outside. */
export interface LineTime {
  /** Milliseconds, monotonic. */
  now(): number;
  /** Calls back once; the function it returns cancels that. */
  after(ms: number, call: () => void): () => void;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}
