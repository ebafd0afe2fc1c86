package main

import (
	"context"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
)

const remoteImage = "docker:index/remoteImage:RemoteImage"

// cancellable ends pulls and builds when the engine is interrupted; the bridge alone would see them through, for as long
// as they take. Everything else is quick and is let finish, so that what it makes is recorded.
type cancellable struct {
	pulumirpc.ResourceProviderServer

	cancelled context.Context
	cancel    context.CancelFunc
}

func newCancellable(server pulumirpc.ResourceProviderServer) *cancellable {
	cancelled, cancel := context.WithCancel(context.Background())
	return &cancellable{server, cancelled, cancel}
}

func (c *cancellable) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	if req.GetType() != remoteImage {
		return c.ResourceProviderServer.Create(ctx, req)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	defer context.AfterFunc(c.cancelled, end)()
	return c.ResourceProviderServer.Create(ctx, req)
}

func (c *cancellable) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	c.cancel()
	return &emptypb.Empty{}, nil
}
