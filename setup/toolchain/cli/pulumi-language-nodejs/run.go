package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// exitShown is the SDK's exit code for "the user has seen the error": the engine then adds no message of its own.
const exitShown = 32

// Run runs the program once. What the program does wrong goes into the response; an error is our own fault.
func (h *host) Run(ctx context.Context, req *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	cmd, err := h.programCommand(req)
	if err != nil {
		return &pulumirpc.RunResponse{Error: err.Error()}, nil
	}
	return responseFor(h.children.run(ctx, cmd, cmd.Wait)), nil
}

func (h *host) programCommand(req *pulumirpc.RunRequest) (*exec.Cmd, error) {
	if req.GetAttachDebugger() {
		return nil, errors.New("--attach-debugger: this build of the language host has none. " +
			"Fix: runtime.options.nodeargs: --inspect-brk in Pulumi.yaml")
	}
	node, err := findNode()
	if err != nil {
		return nil, err
	}
	options, err := parseOptions(req.GetInfo().GetOptions().AsMap())
	if err != nil {
		return nil, err
	}
	script, err := findScript(req.GetInfo().GetProgramDirectory(), "run")
	if err != nil {
		return nil, err
	}
	settings, err := configEnvironment(req)
	if err != nil {
		return nil, err
	}
	arguments := append(options.nodeArgs, script)
	cmd := exec.Command(node, append(arguments, h.programArguments(req)...)...)
	cmd.Env = append(append(os.Environ(), settings...), options.environment()...)
	// Node may switch what it inherits to non-blocking, which would then also hold for us: it gets pipes instead.
	cmd.Stdout = struct{ io.Writer }{os.Stdout}
	cmd.Stderr = struct{ io.Writer }{os.Stderr}
	return cmd, nil
}

func (h *host) programArguments(req *pulumirpc.RunRequest) []string {
	var arguments []string
	add := func(name, value string) {
		if value != "" {
			arguments = append(arguments, "--"+name, value)
		}
	}
	add("monitor", req.GetMonitorAddress())
	add("engine", *h.engineAddress.Load())
	add("organization", req.GetOrganization())
	add("project", req.GetProject())
	add("root-directory", req.GetInfo().GetRootDirectory())
	add("stack", req.GetStack())
	add("pwd", req.GetInfo().GetProgramDirectory())
	add("parallel", strconv.Itoa(int(req.GetParallel())))
	add("tracing", h.tracing)
	if req.GetDryRun() {
		arguments = append(arguments, "--dry-run")
	}
	arguments = append(arguments, req.GetInfo().GetEntryPoint())
	return append(arguments, req.GetArgs()...)
}

// configEnvironment are the stack's settings as the SDK reads them: keys in the form namespace:config:name.
func configEnvironment(req *pulumirpc.RunRequest) ([]string, error) {
	settings := map[string]string{}
	for key, value := range req.GetConfig() {
		parsed, err := config.ParseKey(key)
		if err != nil {
			return nil, fmt.Errorf("config: expected namespace:name, got %q: %w", key, err)
		}
		settings[parsed.Namespace()+":config:"+parsed.Name()] = value
	}
	values, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	secretKeys, err := json.Marshal(append([]string{}, req.GetConfigSecretKeys()...))
	if err != nil {
		return nil, err
	}
	return []string{"PULUMI_CONFIG=" + string(values), "PULUMI_CONFIG_SECRET_KEYS=" + string(secretKeys)}, nil
}

func responseFor(err error) *pulumirpc.RunResponse {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}
	case errors.Is(err, exec.ErrWaitDelay):
		// The program itself ended well; what it left running keeps its output open.
		return &pulumirpc.RunResponse{}
	case errors.As(err, &exit) && exit.ExitCode() == exitShown:
		return &pulumirpc.RunResponse{Bail: true}
	case errors.As(err, &exit) && exit.Exited():
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("Program exited with non-zero exit code: %d", exit.ExitCode())}
	default:
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("Program exited unexpectedly: %v", err)}
	}
}
