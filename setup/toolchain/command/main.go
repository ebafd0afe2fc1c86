// Command pulumi-resource-command is the provider of Pulumi's package "command": it runs commands of this host.
package main

import (
	"context"
	"fmt"
	"os"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/middleware/schema"
)

// version is that of the npm package @pulumi/command, which asks for exactly its own; the build sets it.
var version = "0.0.0-dev"

func main() {
	command := newProvider()
	whenParentGone(func() { _ = command.Cancel(context.Background()) })
	if err := provider.RunProvider(context.Background(), "command", version, command); err != nil {
		fmt.Fprintf(os.Stderr, "pulumi-resource-command: %v\n", err)
		os.Exit(1)
	}
}

func newProvider() provider.Provider {
	return refuseRemote(infer.Provider(infer.Options{
		Metadata: schema.Metadata{
			DisplayName: "Command",
			Description: "Runs commands on this host as part of a stack.",
			License:     "Apache-2.0",
		},
		Resources: []infer.InferredResource{infer.Resource(&Command{})},
		Functions: []infer.InferredFunction{infer.Function(&Run{})},
	}))
}
