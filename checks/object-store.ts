import { randomUUID } from "node:crypto";
import { failed, pending, ready } from "#checks/check.ts";
import type { CheckOf, Outcome } from "#checks/check.ts";
import { ask, shownUrl } from "#checks/http-get.ts";
import type { HttpEvidence } from "#checks/http-get.ts";
import { judgeNoAnswer } from "#checks/network.ts";
import { readPasswordFile } from "#checks/password.ts";
import { signedHeaders } from "#checks/sigv4.ts";

type StoreCheck = CheckOf<"object-store">;

/** One request and its answer. */
export interface StoreAnswer {
  readonly method: "GET" | "PUT" | "DELETE";
  readonly bucket: string;
  readonly evidence: HttpEvidence;
  /** What no web server answers by itself. */
  readonly mark?: string;
}

/** Looks into each bucket, then puts an object into the first one, reads it and deletes it. */
export async function probeObjectStore(check: StoreCheck, signal: AbortSignal): Promise<Outcome> {
  const secret = await readPasswordFile(check.secretKeyFile);
  if ("outcome" in secret) return secret.outcome;
  const key = { region: check.region, accessKey: check.accessKey, secretKey: secret.text };
  const token = randomUUID();
  const send = async (method: StoreAnswer["method"], bucket: string, path: string, body?: string) => {
    const url = `${check.url}/${bucket}${path}`;
    const headers = signedHeaders({ method, url, ...(body !== undefined && { body }) }, key, new Date());
    const evidence = await ask({ url, method, headers, signal, wantBody: true, ...(body !== undefined && { body }) });
    return { method, bucket, evidence };
  };
  for (const bucket of check.buckets) {
    const listed = await send("GET", bucket, "?list-type=2&max-keys=1");
    const trouble = judgeStoreAnswer(check, { ...listed, mark: "<ListBucketResult" });
    if (trouble) return trouble;
  }
  const [bucket = ""] = check.buckets;
  const object = `/engineroom-check-${token}`;
  const put = judgeStoreAnswer(check, await send("PUT", bucket, object, token));
  if (put) return put;
  const got = await send("GET", bucket, object);
  const deleted = judgeStoreAnswer(check, await send("DELETE", bucket, object));
  return judgeStoreAnswer(check, got) ?? deleted ?? judgeObject(check, token, got);
}

/** Undefined for success. */
export function judgeStoreAnswer(
  check: StoreCheck,
  { method, bucket, evidence, mark = "" }: StoreAnswer,
): Outcome | undefined {
  const where = shownUrl(check.url);
  if ("error" in evidence) {
    return evidence.error.code.startsWith("HPE_") ? foreign(check) : judgeNoAnswer(where, evidence.error);
  }
  const { status, body } = evidence;
  if (status >= 200 && status < 300) return body.includes(mark) ? undefined : foreign(check);
  if (status >= 500) return pending(`${where} answered ${status} to ${method}`);
  const code = /<Error>\s*<Code>(\w+)<\/Code>/.exec(body)?.[1];
  switch (code) {
    case undefined:
      return foreign(check);
    case "NoSuchBucket":
      return failed(`${where} has no bucket ${bucket}`, "./engineroom up makes the buckets of `buckets`");
    case "InvalidAccessKeyId":
    // As versitygw says that.
    case "XAdminUserNotFound":
    case "SignatureDoesNotMatch":
    case "AccessDenied":
      return failed(
        `${where} refused the access key ${check.accessKey}: ${code}`,
        `make ${check.secretKeyFile} hold the secret key that the server was started with`,
      );
    default:
      return pending(`${where} answered ${status} ${code} to ${method}`);
  }
}

function judgeObject(check: StoreCheck, token: string, { bucket, evidence }: StoreAnswer): Outcome {
  const where = shownUrl(check.url);
  if ("error" in evidence || evidence.body !== token)
    return pending(`${where}: an object that was just put into ${bucket} reads back as something else`);
  return ready(`${where} kept, gave back and deleted an object of ${bucket}`);
}

function foreign({ url }: StoreCheck): Outcome {
  return failed(
    `another program answers on ${shownUrl(url)}: its answer is not in the S3 protocol`,
    `see who listens: ss -ltnp 'sport = :${new URL(url).port}'`,
  );
}
