package main

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"
)

// Run is the function command:local:run. It runs in previews too.
type Run struct{}

// RunInputs are the function's arguments.
type RunInputs struct {
	ShellInputs
	Command string `pulumi:"command"`
}

// RunOutputs are the function's result.
type RunOutputs struct {
	RunInputs
	ShellOutputs
}

// Annotate names the function.
func (r *Run) Annotate(a infer.Annotator) {
	a.SetToken("local", "run")
	a.Describe(&r, "Runs a command of this host, in every preview and every update.")
}

// Invoke runs the command.
func (*Run) Invoke(
	ctx context.Context, req infer.FunctionRequest[RunInputs],
) (infer.FunctionResponse[RunOutputs], error) {
	result := RunOutputs{RunInputs: req.Input}
	err := runShell(ctx, req.Input.Command, req.Input.ShellInputs, &result.ShellOutputs)
	return infer.FunctionResponse[RunOutputs]{Output: result}, err
}
