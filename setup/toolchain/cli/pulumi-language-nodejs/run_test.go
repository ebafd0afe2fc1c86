package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

func TestProgramArguments(t *testing.T) {
	h := newHost("127.0.0.1:1", "", newChildren())
	got := h.programArguments(&pulumirpc.RunRequest{
		MonitorAddress: "127.0.0.1:2",
		Project:        "p",
		Stack:          "s",
		Parallel:       8,
		DryRun:         true,
		Args:           []string{"last"},
		Info:           &pulumirpc.ProgramInfo{RootDirectory: "/r", ProgramDirectory: "/r/p", EntryPoint: "."},
	})
	expected := strings.Fields("--monitor 127.0.0.1:2 --engine 127.0.0.1:1 --project p --root-directory /r --stack s " +
		"--pwd /r/p --parallel 8 --dry-run . last")
	if !slices.Equal(got, expected) {
		t.Errorf("expected %q, got %q", expected, got)
	}
}

func TestConfigEnvironment(t *testing.T) {
	got, err := configEnvironment(&pulumirpc.RunRequest{
		Config:           map[string]string{"app:name": `a "b"`},
		ConfigSecretKeys: []string{"app:name"},
	})
	if err != nil {
		t.Fatal(err)
	}
	expected := []string{`PULUMI_CONFIG={"app:config:name":"a \"b\""}`, `PULUMI_CONFIG_SECRET_KEYS=["app:name"]`}
	if !slices.Equal(got, expected) {
		t.Errorf("expected %q, got %q", expected, got)
	}
	empty, err := configEnvironment(&pulumirpc.RunRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if expected := []string{"PULUMI_CONFIG={}", "PULUMI_CONFIG_SECRET_KEYS=[]"}; !slices.Equal(empty, expected) {
		t.Errorf("expected %q, got %q", expected, empty)
	}
}

func TestResponseFor(t *testing.T) {
	for script, expected := range map[string]*pulumirpc.RunResponse{
		"exit 0":         {},
		"exit 32":        {Bail: true},
		"exit 3":         {Error: "Program exited with non-zero exit code: 3"},
		"kill -KILL $$":  {Error: "Program exited unexpectedly: signal: killed"},
		"sleep 30 & : 1": {},
	} {
		cmd := exec.Command("sh", "-c", script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.WaitDelay = 100 * time.Millisecond
		var output strings.Builder
		cmd.Stdout = &output
		got := responseFor(cmd.Run())
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if got.Error != expected.Error || got.Bail != expected.Bail {
			t.Errorf("%s: expected %v, got %v", script, expected, got)
		}
	}
}

func TestChildrenEndWithTheirContext(t *testing.T) {
	c := newChildren()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	// Both processes of the group must go, or the pipe stays open for as long as the second lives.
	cmd := exec.Command("sh", "-c", "sleep 30 & sleep 30")
	var output strings.Builder
	cmd.Stdout = &output
	started := time.Now()
	if err := c.run(ctx, cmd, cmd.Wait); err == nil {
		t.Error("expected a signal, got a good end")
	}
	if took := time.Since(started); took > stopGrace {
		t.Errorf("expected an end at once, got %v", took)
	}
	if len(c.snapshot()) != 0 {
		t.Error("expected no child to be left")
	}
}

func TestStopAllKillsWhoDoesNotListen(t *testing.T) {
	c := newChildren()
	ready := filepath.Join(t.TempDir(), "ready")
	cmd := exec.Command("sh", "-c", "trap '' TERM; touch "+ready+"; while :; do sleep 1; done")
	ended := make(chan error, 1)
	go func() { ended <- c.run(t.Context(), cmd, cmd.Wait) }()
	for {
		if _, err := os.Stat(ready); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.stopAll()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("expected a kill, got %v", err)
	}
}

func TestFindScript(t *testing.T) {
	root := t.TempDir()
	script := filepath.Join(root, "node_modules/@pulumi/pulumi/cmd/run")
	program := filepath.Join(root, "sub/program")
	for _, dir := range []string{script, program} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(script, "index.js"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := findScript(program, "run"); err != nil || got != script {
		t.Errorf("expected %s, got %s, %v", script, got, err)
	}
	if _, err := findScript(program, "run-plugin"); err == nil || !strings.Contains(err.Error(), "Fix: npm ci") {
		t.Errorf("expected an error with a fix, got %v", err)
	}
}
