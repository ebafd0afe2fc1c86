package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// findNode returns the Node that PATH names first.
func findNode() (string, error) {
	path, err := exec.LookPath("node")
	if err != nil {
		return "", errors.New("node: expected on PATH, got none. Fix: ./engineroom setup, then eval \"$(./engineroom env)\"")
	}
	return path, nil
}

// findScript returns the directory of an SDK script such as "run", seen from dir as Node's own lookup sees it.
func findScript(dir, script string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for current := start; ; current = filepath.Dir(current) {
		path := filepath.Join(current, "node_modules", "@pulumi", "pulumi", "cmd", script)
		if _, err := os.Stat(filepath.Join(path, "index.js")); err == nil {
			return path, nil
		}
		if current == filepath.Dir(current) {
			return "", fmt.Errorf("%s: expected the package @pulumi/pulumi to be installed, got no "+
				"node_modules/@pulumi/pulumi/cmd/%s there or above. Fix: npm ci", start, script)
		}
	}
}
