// Keeps the last good bundle in a file, for Node, Deno and Bun.
import type { Kept, Store } from "./refresh.js";

/** What we need of `node:fs/promises`. */
export interface FileSystem {
  readFile(path: string): Promise<Uint8Array>;
  writeFile(path: string, data: Uint8Array): Promise<void>;
  rename(from: string, to: string): Promise<void>;
}

/** A file of the ETag, a newline, and the bundle: `fileStore(await import("node:fs/promises"), path)`. */
export function fileStore(fs: FileSystem, path: string): Store {
  return {
    load: async () => {
      try {
        return parse(await fs.readFile(path));
      } catch (error) {
        if ((error as { code?: unknown }).code === "ENOENT") return undefined;
        throw error;
      }
    },
    save: async ({ etag, bytes }) => {
      const head = new TextEncoder().encode(`${etag ?? ""}\n`);
      const file = new Uint8Array(head.length + bytes.length);
      file.set(head);
      file.set(bytes, head.length);
      // Whole or not at all: a reader never sees half a file.
      await fs.writeFile(`${path}.new`, file);
      await fs.rename(`${path}.new`, path);
    },
  };
}

function parse(file: Uint8Array): Kept {
  const end = file.indexOf(0x0a);
  const etag = new TextDecoder().decode(file.subarray(0, end));
  return { etag: etag === "" ? null : etag, bytes: new Uint8Array(file.subarray(end + 1)) };
}
