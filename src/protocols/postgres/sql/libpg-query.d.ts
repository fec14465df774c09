/** The part of the package's WebAssembly module that `parser.ts` uses; the package declares only its wrapper. */
declare module 'libpg-query/wasm/libpg-query.js' {
  export interface PgQueryModule {
    readonly HEAPU8: Uint8Array;
    readonly HEAPU32: Uint32Array;
    _malloc(lengthBytes: number): number;
    _free(pointer: number): void;
    /** Takes a C string, returns a `PgQueryParseResult`: pointers to tree (JSON), stderr buffer, error. */
    _wasm_parse_query_raw(text: number): number;
    _wasm_free_parse_result(result: number): void;
  }
  export default function instantiate(): Promise<PgQueryModule>;
}
