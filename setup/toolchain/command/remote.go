package main

import (
	"context"
	"fmt"
	"strings"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// refuseRemote answers for the resources that the official provider has beside local.Command.
func refuseRemote(p provider.Provider) provider.Provider {
	check, diff, read, remove := p.Check, p.Diff, p.Read, p.Delete
	p.Check = func(ctx context.Context, req provider.CheckRequest) (provider.CheckResponse, error) {
		if err := remoteError(req.Urn); err != nil {
			return provider.CheckResponse{}, err
		}
		return check(ctx, req)
	}
	p.Diff = func(ctx context.Context, req provider.DiffRequest) (provider.DiffResponse, error) {
		if err := remoteError(req.Urn); err != nil {
			return provider.DiffResponse{}, err
		}
		return diff(ctx, req)
	}
	p.Read = func(ctx context.Context, req provider.ReadRequest) (provider.ReadResponse, error) {
		if err := remoteError(req.Urn); err != nil {
			return provider.ReadResponse{}, err
		}
		return read(ctx, req)
	}
	p.Delete = func(ctx context.Context, req provider.DeleteRequest) error {
		if err := remoteError(req.Urn); err != nil {
			return err
		}
		return remove(ctx, req)
	}
	return p
}

func remoteError(urn resource.URN) error {
	token := urn.Type().String()
	if !strings.HasPrefix(token, "command:remote:") {
		return nil
	}
	return fmt.Errorf("%s: this build of the command provider runs commands on this host only. "+
		"Fix: use the official plugin (docs/toolchain.md), or local.Command with ssh", token)
}
