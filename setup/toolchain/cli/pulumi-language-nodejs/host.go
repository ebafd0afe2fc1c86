package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	"github.com/pulumi/pulumi/sdk/v3/go/common/version"
	"github.com/pulumi/pulumi/sdk/v3/nodejs/npm"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
)

// host answers what the engine asks of a language. Calls that it does not have (project and package generation)
// are answered "unimplemented" by the embedded type.
type host struct {
	pulumirpc.UnimplementedLanguageRuntimeServer

	engineAddress atomic.Pointer[string]
	tracing       string
	children      *children
}

func newHost(engineAddress, tracing string, children *children) *host {
	h := &host{tracing: tracing, children: children}
	h.engineAddress.Store(&engineAddress)
	return h
}

func (h *host) Handshake(
	_ context.Context, req *pulumirpc.LanguageHandshakeRequest,
) (*pulumirpc.LanguageHandshakeResponse, error) {
	address := req.GetEngineAddress()
	h.engineAddress.Store(&address)
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

func (h *host) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: version.Version}, nil
}

func (h *host) GetRequiredPackages(
	_ context.Context, req *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{
		Packages: requiredPackages(req.GetInfo().GetProgramDirectory()),
	}, nil
}

// Cancel ends the running program.
func (h *host) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	h.children.stopAll()
	return &emptypb.Empty{}, nil
}

func (h *host) GetProgramDependencies(
	ctx context.Context, req *pulumirpc.GetProgramDependenciesRequest,
) (*pulumirpc.GetProgramDependenciesResponse, error) {
	manager, err := packageManager(req.GetInfo())
	if err != nil {
		return nil, err
	}
	packages, err := manager.ListPackages(ctx, req.GetInfo().GetProgramDirectory(), req.GetTransitiveDependencies())
	if err != nil {
		return nil, fmt.Errorf("could not list the program's packages: %w", err)
	}
	dependencies := make([]*pulumirpc.DependencyInfo, len(packages))
	for i, p := range packages {
		dependencies[i] = &pulumirpc.DependencyInfo{Name: p.Name, Version: p.Version}
	}
	return &pulumirpc.GetProgramDependenciesResponse{Dependencies: dependencies}, nil
}

func (h *host) About(ctx context.Context, req *pulumirpc.AboutRequest) (*pulumirpc.AboutResponse, error) {
	node, err := findNode()
	if err != nil {
		return nil, err
	}
	response := &pulumirpc.AboutResponse{Executable: node, Metadata: map[string]string{}}
	if out, err := exec.CommandContext(ctx, node, "--version").Output(); err == nil {
		response.Version = strings.TrimSpace(string(out))
	}
	manager, err := packageManager(req.GetInfo())
	if err != nil {
		return response, nil
	}
	response.Metadata["packagemanager"] = manager.Name()
	if v, err := managerVersion(manager); err == nil {
		response.Metadata["packagemanagerVersion"] = v
	}
	return response, nil
}

func (h *host) InstallDependencies(
	req *pulumirpc.InstallDependenciesRequest, server pulumirpc.LanguageRuntime_InstallDependenciesServer,
) error {
	closer, stdout, stderr, err := rpcutil.MakeInstallDependenciesStreams(server, req.GetIsTerminal())
	if err != nil {
		return err
	}
	defer func() { _ = closer.Close() }()
	options, err := parseOptions(req.GetInfo().GetOptions().AsMap())
	if err != nil {
		return err
	}
	dir := req.GetInfo().GetProgramDirectory()
	if root, err := npm.FindWorkspaceRoot(dir); err == nil {
		dir = root
	}
	if _, err := npm.Install(server.Context(), options.packageManager, dir, req.GetIsPlugin(), stdout, stderr); err != nil {
		return fmt.Errorf("could not install the program's packages: %w", err)
	}
	return closer.Close()
}

func packageManager(info *pulumirpc.ProgramInfo) (npm.PackageManager, error) {
	options, err := parseOptions(info.GetOptions().AsMap())
	if err != nil {
		return nil, err
	}
	return npm.ResolvePackageManager(options.packageManager, info.GetProgramDirectory())
}
