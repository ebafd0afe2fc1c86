package main

import (
	"os"
	"path/filepath"
	"testing"
)

// install makes a package with one program, and a link to it in a directory that alone is PATH.
func install(t *testing.T, name, manifest string) {
	t.Helper()
	root := t.TempDir()
	pkg, path := filepath.Join(root, "lib", name), filepath.Join(root, "bin")
	for _, dir := range []string{filepath.Join(pkg, "bin"), path} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := filepath.Join(pkg, "bin", name+"-cli.js")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pkg, "package.json"), []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(script, filepath.Join(path, name)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", path)
}

func TestInstalledVersionIsReadBesideTheProgram(t *testing.T) {
	install(t, "npm", `{"name": "npm", "version": "11.2.0"}`)
	if version, err := installedVersion("npm"); err != nil || version != "11.2.0" {
		t.Fatalf("got %q, %v", version, err)
	}
}

func TestInstalledVersionOfAnotherPackageIsNone(t *testing.T) {
	for _, manifest := range []string{`{"name": "shims", "version": "1.0.0"}`, `{"name": "npm"}`, `no json`} {
		install(t, "npm", manifest)
		if version, err := installedVersion("npm"); err == nil {
			t.Fatalf("%s: got %q", manifest, version)
		}
	}
}

func TestInstalledVersionWithoutTheProgram(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if version, err := installedVersion("npm"); err == nil {
		t.Fatalf("got %q", version)
	}
}
