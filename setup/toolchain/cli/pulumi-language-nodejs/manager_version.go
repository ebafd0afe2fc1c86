package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/pulumi/pulumi/sdk/v3/nodejs/npm"
)

// managerVersion reads the manager's version beside its program: to ask it costs a fifth of a second of computing, and
// the engine wants to know at every start.
func managerVersion(manager npm.PackageManager) (string, error) {
	if version, err := installedVersion(manager.Name()); err == nil {
		return version, nil
	}
	version, err := manager.Version()
	if err != nil {
		return "", err
	}
	return version.String(), nil
}

// installedVersion is that of the package whose bin directory holds the program that PATH names.
func installedVersion(name string) (string, error) {
	found, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	script, err := filepath.EvalSymlinks(found)
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(filepath.Join(filepath.Dir(script), "..", "package.json"))
	if err != nil {
		return "", err
	}
	var info manifest
	if err := json.Unmarshal(content, &info); err != nil {
		return "", err
	}
	if info.Name != name || info.Version == "" {
		return "", errors.New("another package")
	}
	return info.Version, nil
}
