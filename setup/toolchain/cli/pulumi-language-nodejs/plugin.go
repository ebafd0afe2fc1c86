package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// RunPlugin runs a plugin written for Node.js: a policy pack, or a provider.
func (h *host) RunPlugin(req *pulumirpc.RunPluginRequest, server pulumirpc.LanguageRuntime_RunPluginServer) error {
	closer, stdout, stderr, err := rpcutil.MakeRunPluginStreams(server, false)
	if err != nil {
		return err
	}
	defer func() { _ = closer.Close() }()
	run := h.runProvider
	if req.GetKind() == string(apitype.AnalyzerPlugin) {
		run = h.runPolicyPack
	}
	if err := run(server.Context(), req, stdout, stderr); err != nil {
		return err
	}
	return closer.Close()
}

func (h *host) runProvider(ctx context.Context, req *pulumirpc.RunPluginRequest, stdout, stderr io.Writer) error {
	cmd, err := pluginCommand(req, "run-plugin")
	if err != nil {
		return err
	}
	cmd.Args = append(append(cmd.Args, req.GetInfo().GetProgramDirectory()), req.GetArgs()...)
	cmd.Dir = req.GetPwd()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return pluginError(h.children.run(ctx, cmd, cmd.Wait))
}

// runPolicyPack starts a pack behind the SDK's proxy: a pack wants the stack's settings in its environment, and the
// engine only tells them to a pack that already answers.
func (h *host) runPolicyPack(ctx context.Context, req *pulumirpc.RunPluginRequest, stdout, stderr io.Writer) error {
	cmd, err := pluginCommand(req, "run-policy-pack")
	if err != nil {
		return err
	}
	cmd.Args = append(append(cmd.Args, req.GetArgs()...), req.GetInfo().GetProgramDirectory())
	// @pulumi/policy reads the pack's version from package.json in the working directory.
	cmd.Dir = req.GetInfo().GetProgramDirectory()
	proxy, packStdout, err := sdk.NewPolicyProxy(ctx, stdout)
	if err != nil {
		return fmt.Errorf("could not start the policy pack's proxy: %w", err)
	}
	stack, err := proxy.AwaitConfiguration(ctx)
	if err != nil {
		return fmt.Errorf("could not get the stack's settings for the policy pack: %w", err)
	}
	settings, err := policyEnvironment(stack)
	if err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, settings...)
	cmd.Stdout, cmd.Stderr = packStdout, stderr
	return pluginError(h.children.run(ctx, cmd, func() error { return proxy.Attach(ctx, cmd) }))
}

func policyEnvironment(stack *pulumirpc.AnalyzerStackConfigureRequest) ([]string, error) {
	if stack == nil {
		return nil, nil
	}
	settings, err := json.Marshal(stack.GetConfig())
	if err != nil {
		return nil, err
	}
	return []string{
		"PULUMI_NODEJS_ORGANIZATION=" + stack.GetOrganization(),
		"PULUMI_NODEJS_PROJECT=" + stack.GetProject(),
		"PULUMI_NODEJS_STACK=" + stack.GetStack(),
		"PULUMI_NODEJS_DRY_RUN=" + strconv.FormatBool(stack.GetDryRun()),
		"PULUMI_CONFIG=" + string(settings),
	}, nil
}

func pluginCommand(req *pulumirpc.RunPluginRequest, script string) (*exec.Cmd, error) {
	node, err := findNode()
	if err != nil {
		return nil, err
	}
	options, err := parseOptions(req.GetInfo().GetOptions().AsMap())
	if err != nil {
		return nil, err
	}
	path, err := findScript(req.GetInfo().GetProgramDirectory(), script)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(node, append(options.nodeArgs, path)...)
	cmd.Env = append(req.GetEnv(), options.environment()...)
	return cmd, nil
}

func pluginError(err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.As(err, &exit) && exit.Exited():
		return fmt.Errorf("Program exited with non-zero exit code: %d", exit.ExitCode())
	default:
		return fmt.Errorf("Program exited unexpectedly: %w", err)
	}
}
