package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// ShellInputs say how a command runs.
type ShellInputs struct {
	Stdin   *string  `pulumi:"stdin,optional"`
	Logging *Logging `pulumi:"logging,optional"`
	// Interpreter is /bin/sh -c by default; the text is its last argument.
	Interpreter *[]string `pulumi:"interpreter,optional"`
	// Dir is the working directory, by default that of the program.
	Dir *string `pulumi:"dir,optional"`
	// Environment is added to the provider's own.
	Environment  *map[string]string `pulumi:"environment,optional"`
	AssetPaths   *[]string          `pulumi:"assetPaths,optional"`
	ArchivePaths *[]string          `pulumi:"archivePaths,optional"`
	// AddPreviousOutputInEnv hands the previous run's output over as PULUMI_COMMAND_STDOUT and _STDERR.
	AddPreviousOutputInEnv *bool `pulumi:"addPreviousOutputInEnv,optional"`
}

// Annotate sets the defaults, which stand in the state.
func (in *ShellInputs) Annotate(a infer.Annotator) {
	a.SetDefault(&in.AddPreviousOutputInEnv, true)
}

// ShellOutputs are what a command left.
type ShellOutputs struct {
	Stdout  string                           `pulumi:"stdout"`
	Stderr  string                           `pulumi:"stderr"`
	Assets  *map[string]types.AssetOrArchive `pulumi:"assets,optional"`
	Archive *resource.Archive                `pulumi:"archive,optional"`
}

// runShell runs text and fills out, which holds the previous run's output when it is called.
// The end of ctx kills the interpreter alone, and what still holds its output is waited for: so does the official
// provider, and stacks are written with that in mind.
func runShell(ctx context.Context, text string, in ShellInputs, out *ShellOutputs) error {
	cmd, err := shellCommand(ctx, text, in, *out)
	if err != nil {
		return err
	}
	var stdout, stderr, both bytes.Buffer
	combined := &lockedWriter{to: &both}
	log := newLineLogger(ctx)
	cmd.Stdout = writers(in.Logging.logsStdout(), log, &stdout, combined)
	cmd.Stderr = writers(in.Logging.logsStderr(), log, &stderr, combined)
	err = cmd.Run()
	log.close()
	if err != nil {
		return fmt.Errorf("%w: running %q:\n%s", err, text, both.String())
	}
	if err := collect(cmd.Dir, in, out); err != nil {
		return err
	}
	out.Stdout = strings.TrimSuffix(stdout.String(), "\n")
	out.Stderr = strings.TrimSuffix(stderr.String(), "\n")
	return nil
}

func shellCommand(ctx context.Context, text string, in ShellInputs, previous ShellOutputs) (*exec.Cmd, error) {
	argv := []string{"/bin/sh", "-c"}
	if in.Interpreter != nil && len(*in.Interpreter) > 0 {
		argv = append([]string{}, *in.Interpreter...)
	}
	argv = append(argv, text)
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if in.Dir != nil {
		dir = *in.Dir
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment(in, previous)...)
	if in.Stdin != nil && *in.Stdin != "" {
		cmd.Stdin = strings.NewReader(*in.Stdin)
	}
	return cmd, nil
}

// environment is what a command sees beside the provider's own environment.
func environment(in ShellInputs, previous ShellOutputs) []string {
	var env []string
	if in.Environment != nil {
		for name, value := range *in.Environment {
			env = append(env, name+"="+value)
		}
	}
	if in.AddPreviousOutputInEnv != nil && !*in.AddPreviousOutputInEnv {
		return env
	}
	if previous.Stdout != "" {
		env = append(env, "PULUMI_COMMAND_STDOUT="+previous.Stdout)
	}
	if previous.Stderr != "" {
		env = append(env, "PULUMI_COMMAND_STDERR="+previous.Stderr)
	}
	return env
}

func writers(logged bool, log io.Writer, captures ...io.Writer) io.Writer {
	if logged {
		captures = append(captures, log)
	}
	return io.MultiWriter(captures...)
}

// lockedWriter takes both streams, which are copied at the same time.
type lockedWriter struct {
	mutex sync.Mutex
	to    io.Writer
}

func (w *lockedWriter) Write(data []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.to.Write(data)
}
