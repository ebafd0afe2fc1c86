import { createHash } from "node:crypto";
import { relative } from "node:path";
import type { StackPlaces } from "./places.ts";
import type { ImageBuildPlan, NetworkPlan } from "./plan.ts";

/** Where a container finds its own files, read-only. */
export const CONTAINER_HOME = "/run/engineroom";

/**
 * Directory of a container's files on this host. The one above it is for its owner alone; it itself may be read by any
 * user, since that of a container without capabilities is no owner of anything here.
 */
export const filesDir = (places: StackPlaces, service: string): string =>
  `${places.containersDir}/${service}/private/files`;

/**
 * The stack's network. The subnet follows from the owner, so that this host's address in it is known before the network
 * is there: 10.64.0.0/10 and up, away from what the engine gives out itself (172.16.0.0/12 and 192.168.0.0/16).
 */
export function networkPlan(places: StackPlaces, settings: { networkName?: string; subnet?: string }): NetworkPlan {
  const [a = 0, b = 0] = createHash("sha256").update(places.owner).digest();
  const subnet = settings.subnet ?? `10.${64 + (a % 128)}.${b}.0/24`;
  return {
    name: settings.networkName ?? `engineroom-${places.stack}`,
    subnet,
    gateway: subnet.replace(/\d+\/\d+$/, "1"),
  };
}

/** Images that application images stand on. */
export interface BaseImages {
  readonly python: string;
  readonly node: string;
  readonly nginx: string;
}

interface Source {
  readonly kind: ImageBuildPlan["kind"];
  /** The directory's own Dockerfile wins over ours. */
  readonly dockerfile: boolean;
  readonly path: string;
  readonly hash: string;
}

/**
 * How an application directory becomes an image. Its tag is the hash of all that it is made of, its name belongs to the
 * stack alone: a stack that is destroyed removes its images, and must not find another stack's containers on them.
 */
export function imageBuildPlan(
  name: string,
  source: Source,
  base: BaseImages,
  { places, cacheDir }: { readonly places: StackPlaces; readonly cacheDir: string },
): ImageBuildPlan {
  const kind = source.dockerfile ? "dockerfile" : source.kind;
  const dockerfile = { dockerfile: "", python: pythonImage(base), node: nodeImage(base) }[kind];
  const hash = createHash("sha256").update(`${source.hash}\n${dockerfile}`).digest("hex").slice(0, 12);
  const repository = `${repositoryName(`engineroom-${places.id}-${places.stack}`)}/${repositoryName(name)}`;
  return {
    key: `${name}-${hash}`,
    kind,
    source: source.path,
    resource: `image-${relative(places.projectDir, source.path)}`,
    context: `${cacheDir}/builds/image-${name}-${hash}/context`,
    reference: `${repository}:${hash}`,
    dockerfile,
  };
}

/** A part of an image's name: a directory may be called `My App`. */
const repositoryName = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "") || "application";

/**
 * The host's certificates are there while packages are fetched, and in no layer: this host may sit behind a proxy that
 * opens TLS. User 10001 exists in no image, and owns /data alone, where a service that has data has its volume.
 */
const CERTIFICATES =
  "--mount=type=secret,id=certificates,target=/run/certificates.pem " +
  "if [ -s /run/certificates.pem ]; then export PIP_CERT=/run/certificates.pem SSL_CERT_FILE=/run/certificates.pem " +
  "NODE_EXTRA_CA_CERTS=/run/certificates.pem; fi;";

export const APPLICATION_USER = "10001:10001";

const pythonImage = ({ python }: BaseImages): string => `FROM ${python}
RUN python3 -m venv /opt/venv && install -d -o 10001 -g 10001 /data
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY requirements.tx[t] pyproject.tom[l] ./
RUN ${CERTIFICATES} \\
  if [ -f requirements.txt ]; then pip install --no-cache-dir --disable-pip-version-check -r requirements.txt; fi
COPY . .
RUN ${CERTIFICATES} \\
  if [ ! -f requirements.txt ]; then pip install --no-cache-dir --disable-pip-version-check .; fi \\
  && python3 -m compileall -q /opt/venv /app
`;

const nodeImage = ({ node, nginx }: BaseImages): string => `FROM ${node} AS build
WORKDIR /app
COPY package*.json ./
RUN ${CERTIFICATES} npm ci --no-audit --no-fund
COPY . .
RUN npm run build && test -d dist
FROM ${nginx}
COPY --from=build /app/dist /app/dist
`;
