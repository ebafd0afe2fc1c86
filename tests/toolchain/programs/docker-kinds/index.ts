import * as docker from "@pulumi/docker";

// Only previewed: some need a swarm, a registry or a plugin of the engine.
new docker.BuildxBuilder("builder", {});
new docker.Container("container", { image: "image" });
new docker.Network("network", {});
new docker.Plugin("plugin", {});
new docker.RegistryImage("registry-image", {});
new docker.RemoteImage("remote-image", { name: "image" });
new docker.Secret("secret", { data: "eA==" });
new docker.Service("service", { taskSpec: { containerSpec: { image: "image" } } });
new docker.ServiceConfig("service-config", { data: "eA==" });
new docker.Tag("tag", { sourceImage: "image", targetImage: "other" });
new docker.Volume("volume", {});
