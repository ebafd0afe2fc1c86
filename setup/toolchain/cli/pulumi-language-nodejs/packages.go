package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// manifest is what matters here of a package.json.
type manifest struct {
	Name    string                  `json:"name"`
	Version string                  `json:"version"`
	Pulumi  plugin.PulumiPluginJSON `json:"pulumi"`
}

// requiredPackages lists the provider packages installed in dir/node_modules, nested ones included.
// A package that cannot be read is skipped: the engine asks again by name when a resource needs it.
func requiredPackages(dir string) []*pulumirpc.PackageDependency {
	scan := scanner{visited: map[string]bool{}}
	scan.nodeModules(filepath.Join(dir, "node_modules"))
	return scan.found
}

type scanner struct {
	visited map[string]bool
	found   []*pulumirpc.PackageDependency
}

func (s *scanner) nodeModules(dir string) {
	for _, name := range s.enter(dir) {
		path := filepath.Join(dir, name)
		switch {
		case strings.HasPrefix(name, "."):
		case strings.HasPrefix(name, "@"):
			for _, scoped := range s.enter(path) {
				s.installed(filepath.Join(path, scoped))
			}
		default:
			s.installed(path)
		}
	}
}

// installed looks at one package, and at the packages that are installed inside it.
func (s *scanner) installed(dir string) {
	if content, err := os.ReadFile(filepath.Join(dir, "package.json")); err == nil {
		if dependency, err := dependencyOf(content); err == nil && dependency != nil {
			s.found = append(s.found, dependency)
		}
	}
	s.nodeModules(filepath.Join(dir, "node_modules"))
}

// enter lists dir unless it was listed before: links may form a circle.
func (s *scanner) enter(dir string) []string {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil || s.visited[real] {
		return nil
	}
	s.visited[real] = true
	entries, err := os.ReadDir(real)
	if err != nil {
		return nil
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names
}

// dependencyOf returns nil for a package that brings no provider.
func dependencyOf(packageJSON []byte) (*pulumirpc.PackageDependency, error) {
	var info manifest
	if err := json.Unmarshal(packageJSON, &info); err != nil {
		return nil, err
	}
	if !info.Pulumi.Resource {
		return nil, nil
	}
	name, err := pluginName(info)
	if err != nil {
		return nil, err
	}
	version, err := pluginVersion(info)
	if err != nil {
		return nil, err
	}
	dependency := &pulumirpc.PackageDependency{
		Kind:    "resource",
		Name:    name,
		Version: version,
		Server:  info.Pulumi.Server,
	}
	if p := info.Pulumi.Parameterization; p != nil {
		dependency.Parameterization = &pulumirpc.PackageParameterization{Name: p.Name, Version: p.Version, Value: p.Value}
	}
	if p := info.Pulumi.ExtensionParameterization; p != nil {
		dependency.Extension = &pulumirpc.PackageParameterization{Name: p.Name, Version: p.Version, Value: p.Value}
	}
	return dependency, nil
}

func pluginName(info manifest) (string, error) {
	if info.Pulumi.Name != "" {
		return info.Pulumi.Name, nil
	}
	if name, ok := strings.CutPrefix(info.Name, "@pulumi/"); ok && name != "" {
		return name, nil
	}
	return "", fmt.Errorf("%s: expected pulumi.name in its package.json, got none", info.Name)
}

func pluginVersion(info manifest) (string, error) {
	version := info.Pulumi.Version
	if version == "" {
		version = info.Version
	}
	if version == "" {
		return "", fmt.Errorf("%s: expected a version in its package.json, got none", info.Name)
	}
	return "v" + strings.TrimPrefix(version, "v"), nil
}
