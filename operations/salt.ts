import { createDecipheriv, createHash, pbkdf2 } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse } from "yaml";
import { readText } from "#observe/records.ts";
import type { StackPlaces } from "#stack/places.ts";
import { stackFileName } from "#stack/file.ts";

/** Pulumi's key derivation (sdk/go/common/resource/config/crypt.go). */
const ROUNDS = 1_000_000;
const KEY_BYTES = 32;
const TAG_BYTES = 16;
/** What Pulumi encrypts into the salt line to know its passphrase again. */
const PROBE = "pulumi";

/**
 * Whether the stack file's `encryptionsalt` was made with this passphrase; true where it has none. The answer costs a
 * third of a second and is remembered beside the passphrase.
 */
export async function saltFits(places: StackPlaces, passphrase: string): Promise<boolean> {
  const file = readFileSync(join(places.projectDir, stackFileName(places.stack)), "utf8");
  const { encryptionsalt: salt } = parse(file) as { encryptionsalt?: string };
  if (salt === undefined) return true;
  const proof = createHash("sha256").update(`${salt}\0${passphrase}`).digest("hex");
  const known = `${places.passphraseFile}.${places.stack}.proof`;
  if (readText(known) === proof) return true;
  if (!(await decrypts(salt, passphrase))) return false;
  if (existsSync(places.stateDir)) writeFileSync(known, proof, { mode: 0o600 });
  return true;
}

/** `v1:<salt>:v1:<nonce>:<ciphertext and tag>`, each base64. */
async function decrypts(line: string, passphrase: string): Promise<boolean> {
  const [, salt, , nonce, message] = line.split(":");
  if (salt === undefined || nonce === undefined || message === undefined) return false;
  const bytes = Buffer.from(message, "base64");
  try {
    const key = await promisify(pbkdf2)(passphrase, Buffer.from(salt, "base64"), ROUNDS, KEY_BYTES, "sha256");
    const cipher = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64"));
    cipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    return cipher.update(bytes.subarray(0, -TAG_BYTES), undefined, "utf8") + cipher.final("utf8") === PROBE;
  } catch {
    return false;
  }
}
