package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/nodejs/npm"
)

func TestParseOptionsDefaults(t *testing.T) {
	got, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !got.typescript || got.packageManager != npm.AutoPackageManager || len(got.nodeArgs) != 0 {
		t.Errorf("expected ts-node, an automatic package manager and no arguments, got %+v", got)
	}
	if env := got.environment(); !slices.Equal(env, []string{"PULUMI_NODEJS_TYPESCRIPT=true"}) {
		t.Errorf("expected ts-node to be asked for, got %q", env)
	}
}

func TestParseOptions(t *testing.T) {
	got, err := parseOptions(map[string]any{
		"typescript":     false,
		"tsconfig":       "build/tsconfig.json",
		"nodeargs":       `--import tsx --title "two words"`,
		"packagemanager": "pnpm",
	})
	if err != nil {
		t.Fatal(err)
	}
	if expected := []string{"--import", "tsx", "--title", "two words"}; !slices.Equal(got.nodeArgs, expected) {
		t.Errorf("expected arguments %q, got %q", expected, got.nodeArgs)
	}
	if got.packageManager != npm.PnpmPackageManager {
		t.Errorf("expected pnpm, got %v", got.packageManager)
	}
	if env := got.environment(); !slices.Equal(env, []string{"PULUMI_NODEJS_TSCONFIG_PATH=build/tsconfig.json"}) {
		t.Errorf("expected the tsconfig alone, got %q", env)
	}
}

func TestParseOptionsRefuses(t *testing.T) {
	for _, one := range []struct {
		key      string
		value    any
		expected string
	}{
		{"typescript", "false", "runtime.options.typescript: expected a boolean, got false"},
		{"tsconfig", true, "runtime.options.tsconfig: expected a path, got true"},
		{"nodeargs", []any{"--x"}, "runtime.options.nodeargs: expected a string, got [--x]"},
		{"nodeargs", `"open`, "runtime.options.nodeargs: expected shell words"},
		{"packagemanager", "cargo", `expected auto, npm, yarn, pnpm or bun, got "cargo"`},
	} {
		_, err := parseOptions(map[string]any{one.key: one.value})
		if err == nil || !strings.Contains(err.Error(), one.expected) {
			t.Errorf("%s %v: expected %q, got %v", one.key, one.value, one.expected, err)
		}
	}
}
