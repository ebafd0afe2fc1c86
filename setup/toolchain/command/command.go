package main

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Command is the resource command:local:Command.
type Command struct{}

// CommandInputs are a command's arguments.
type CommandInputs struct {
	// Triggers replace the resource when any of them changes.
	Triggers *[]any  `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Create   *string `pulumi:"create,optional"`
	// Update runs on every change of an input; without it, Create runs again.
	Update *string `pulumi:"update,optional"`
	Delete *string `pulumi:"delete,optional"`
	ShellInputs
}

// CommandOutputs are what the state keeps.
type CommandOutputs struct {
	CommandInputs
	ShellOutputs
}

// Annotate names the resource.
func (c *Command) Annotate(a infer.Annotator) {
	a.SetToken("local", "Command")
	a.Describe(&c, "A command of this host that runs when the resource is created, updated or deleted.")
}

// Create runs `create`. A failure leaves nothing in the state.
func (*Command) Create(
	ctx context.Context, req infer.CreateRequest[CommandInputs],
) (infer.CreateResponse[CommandOutputs], error) {
	id, err := resource.NewUniqueHex(req.Name, 8, 0)
	if err != nil {
		return infer.CreateResponse[CommandOutputs]{}, err
	}
	state := CommandOutputs{CommandInputs: req.Inputs}
	if !req.DryRun {
		err = runCommand(ctx, req.Inputs.Create, req.Inputs.ShellInputs, &state.ShellOutputs)
	}
	return infer.CreateResponse[CommandOutputs]{ID: id, Output: state}, err
}

// Update runs `update`, else `create`. A failure leaves the old inputs in the state, so the next run tries again.
func (*Command) Update(
	ctx context.Context, req infer.UpdateRequest[CommandInputs, CommandOutputs],
) (infer.UpdateResponse[CommandOutputs], error) {
	state := CommandOutputs{CommandInputs: req.Inputs, ShellOutputs: req.State.ShellOutputs}
	if req.DryRun {
		return infer.UpdateResponse[CommandOutputs]{Output: state}, nil
	}
	text := req.Inputs.Update
	if text == nil {
		text = req.Inputs.Create
	}
	err := runCommand(ctx, text, req.Inputs.ShellInputs, &state.ShellOutputs)
	return infer.UpdateResponse[CommandOutputs]{Output: state}, err
}

// Delete runs the `delete` that the state holds, with the environment that the state holds.
func (*Command) Delete(ctx context.Context, req infer.DeleteRequest[CommandOutputs]) (infer.DeleteResponse, error) {
	state := req.State
	return infer.DeleteResponse{}, runCommand(ctx, state.CommandInputs.Delete, state.ShellInputs, &state.ShellOutputs)
}

// runCommand does nothing where the program gave no text.
func runCommand(ctx context.Context, text *string, in ShellInputs, out *ShellOutputs) error {
	if text == nil {
		return nil
	}
	return runShell(ctx, *text, in, out)
}
