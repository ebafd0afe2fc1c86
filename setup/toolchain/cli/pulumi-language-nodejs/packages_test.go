package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestRequiredPackages(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const modules = "project/node_modules/"
	write(modules+"zod/package.json", `{"name": "zod", "version": "4.0.0"}`)
	write(modules+"@pulumi/command/package.json",
		`{"name": "@pulumi/command", "version": "1.2.1", "pulumi": {"resource": true, "name": "command", "version": "1.2.1"}}`)
	write(modules+"@pulumi/command/lib/package.json",
		`{"name": "not a package", "version": "1", "pulumi": {"resource": true}}`)
	write(modules+"outer/package.json", `{"name": "outer"}`)
	write(modules+"outer/node_modules/@pulumi/nested/package.json",
		`{"name": "@pulumi/nested", "version": "v0.1.0", "pulumi": {"resource": true, "server": "https://example.org"}}`)
	write(modules+"nameless/package.json", `{"name": "nameless", "version": "1.0.0", "pulumi": {"resource": true}}`)
	write(modules+"broken/package.json", `{`)
	write("elsewhere/package.json", `{"name": "linked", "version": "3.0.0", "pulumi": {"resource": true, "name": "linked"}}`)
	// A linked package that links back: a scan must end.
	if err := os.Symlink(filepath.Join(root, "elsewhere"), filepath.Join(root, modules, "linked")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, modules), filepath.Join(root, "elsewhere/node_modules")); err != nil {
		t.Fatal(err)
	}

	var got []string
	for _, p := range requiredPackages(filepath.Join(root, "project")) {
		got = append(got, p.Kind+" "+p.Name+" "+p.Version+" "+p.Server)
	}
	slices.Sort(got)
	expected := []string{
		"resource command v1.2.1 ",
		"resource linked v3.0.0 ",
		"resource nested v0.1.0 https://example.org",
	}
	if !slices.Equal(got, expected) {
		t.Errorf("expected %q, got %q", expected, got)
	}
}

func TestRequiredPackagesWithoutModules(t *testing.T) {
	if got := requiredPackages(t.TempDir()); len(got) != 0 {
		t.Errorf("expected none, got %v", got)
	}
}

func TestDependencyOfParameterized(t *testing.T) {
	got, err := dependencyOf([]byte(`{"name": "x", "version": "1.0.0", "pulumi": {"resource": true, "name": "base",
		"version": "2.0.0", "parameterization": {"name": "x", "version": "1.0.0", "value": "aGk="}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "base" || got.Version != "v2.0.0" || string(got.Parameterization.Value) != "hi" {
		t.Errorf("expected base v2.0.0 with the value hi, got %v", got)
	}
}
