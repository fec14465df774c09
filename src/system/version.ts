import packageJson from '../../package.json' with { type: 'json' };

/** Of this package, as `hoop --version` says it. */
export const version: string = packageJson.version;
