package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func TestRunShell(t *testing.T) {
	dir := t.TempDir()
	var out ShellOutputs
	err := runShell(t.Context(), `printf '%s\n\n' "$A"; cat; pwd >&2`, ShellInputs{
		Dir:         &dir,
		Stdin:       new("in"),
		Environment: &map[string]string{"A": "b 'c'"},
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if out.Stdout != "b 'c'\n\nin" || out.Stderr != dir {
		t.Errorf("expected the variable, the input and the directory, got %q and %q", out.Stdout, out.Stderr)
	}
}

func TestRunShellFails(t *testing.T) {
	out := ShellOutputs{Stdout: "before"}
	err := runShell(t.Context(), "echo one; echo two >&2; exit 7", ShellInputs{}, &out)
	for _, words := range []string{"exit status 7", `running "echo one`, "one\n", "two\n"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("expected %q in the error, got %v", words, err)
		}
	}
	if out.Stdout != "before" {
		t.Errorf("expected the old output to stay, got %q", out.Stdout)
	}
}

func TestRunShellEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	started := time.Now()
	err := runShell(ctx, "exec sleep 30", ShellInputs{}, &ShellOutputs{})
	if err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("expected a kill, got %v", err)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("expected an end at once, got %v", took)
	}
}

func TestEnvironment(t *testing.T) {
	previous := ShellOutputs{Stdout: "out", Stderr: "err"}
	handed := environment(ShellInputs{}, previous)
	if expected := []string{"PULUMI_COMMAND_STDOUT=out", "PULUMI_COMMAND_STDERR=err"}; !slices.Equal(handed, expected) {
		t.Errorf("expected %q, got %q", expected, handed)
	}
	if kept := environment(ShellInputs{AddPreviousOutputInEnv: new(false)}, previous); len(kept) != 0 {
		t.Errorf("expected nothing, got %q", kept)
	}
	if first := environment(ShellInputs{}, ShellOutputs{}); len(first) != 0 {
		t.Errorf("expected nothing, got %q", first)
	}
}

func TestMatches(t *testing.T) {
	patterns, err := parsePatterns([]string{"assets/**", "src/**.js", "!**secret.*"})
	if err != nil {
		t.Fatal(err)
	}
	for name, expected := range map[string]bool{
		"assets/logos/logo.svg": true,
		"src/index.js":          true,
		"src/secret.js":         false,
		"src/index.ts":          false,
		"index.js":              false,
	} {
		if matches(patterns, name) != expected {
			t.Errorf("%s: expected %v", name, expected)
		}
	}
	if _, err := parsePatterns([]string{"["}); err == nil {
		t.Error("expected a bad pattern to be refused")
	}
}

func TestCollect(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one.txt", "two.log"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out ShellOutputs
	in := ShellInputs{AssetPaths: &[]string{"*.txt"}, ArchivePaths: &[]string{"*"}}
	if err := collect(dir, in, &out); err != nil {
		t.Fatal(err)
	}
	if asset := (*out.Assets)["one.txt"].Asset; len(*out.Assets) != 1 || asset.Path != filepath.Join(dir, "one.txt") {
		t.Errorf("expected one.txt, got %v", *out.Assets)
	}
	if len(out.Archive.Assets) != 2 {
		t.Errorf("expected both files, got %v", out.Archive.Assets)
	}
}

func TestRefuseRemote(t *testing.T) {
	reached := errors.New("reached")
	p := refuseRemote(provider.Provider{
		Delete: func(context.Context, provider.DeleteRequest) error { return reached },
	})
	urn := func(token string) resource.URN { return resource.URN("urn:pulumi:s::p::" + token + "::n") }
	err := p.Delete(t.Context(), provider.DeleteRequest{Urn: urn("command:remote:Command")})
	if err == nil || !strings.Contains(err.Error(), "command:remote:Command: this build") {
		t.Errorf("expected a refusal, got %v", err)
	}
	if err := p.Delete(t.Context(), provider.DeleteRequest{Urn: urn("command:local:Command")}); !errors.Is(err, reached) {
		t.Errorf("expected a local command to pass, got %v", err)
	}
}
