/** Which inspection a program gets. */
import type { AskedProgram } from './asked-program.ts';
import { PlainInspection, type MakeInspection } from './inspection.ts';

export function inspectionFor(_asked: AskedProgram): MakeInspection {
  return (ends) => new PlainInspection(ends);
}
