package main

import (
	"fmt"

	"github.com/google/shlex"
	"github.com/pulumi/pulumi/sdk/v3/nodejs/npm"
)

// options are `runtime.options` of Pulumi.yaml.
type options struct {
	// typescript asks the SDK to load ts-node. Node that strips types itself wants false.
	typescript bool
	tsconfig   string
	// nodeArgs stand before the script on Node's command line.
	nodeArgs       []string
	packageManager npm.PackageManagerType
}

func parseOptions(raw map[string]any) (options, error) {
	parsed := options{typescript: true, packageManager: npm.AutoPackageManager}
	if err := read(raw, "typescript", "a boolean", &parsed.typescript); err != nil {
		return options{}, err
	}
	if err := read(raw, "tsconfig", "a path", &parsed.tsconfig); err != nil {
		return options{}, err
	}
	var nodeArgs, packageManager string
	if err := read(raw, "nodeargs", "a string", &nodeArgs); err != nil {
		return options{}, err
	}
	if err := read(raw, "packagemanager", "a string", &packageManager); err != nil {
		return options{}, err
	}
	words, err := shlex.Split(nodeArgs)
	if err != nil {
		return options{}, fmt.Errorf("runtime.options.nodeargs: expected shell words, got %q: %w", nodeArgs, err)
	}
	parsed.nodeArgs = words
	if packageManager != "" {
		manager, ok := packageManagers[packageManager]
		if !ok {
			return options{}, fmt.Errorf(
				"runtime.options.packagemanager: expected auto, npm, yarn, pnpm or bun, got %q", packageManager)
		}
		parsed.packageManager = manager
	}
	return parsed, nil
}

var packageManagers = map[string]npm.PackageManagerType{
	"auto": npm.AutoPackageManager,
	"npm":  npm.NpmPackageManager,
	"yarn": npm.YarnPackageManager,
	"pnpm": npm.PnpmPackageManager,
	"bun":  npm.BunPackageManager,
}

// read copies raw[key] to target, where there is one.
func read[T any](raw map[string]any, key, expected string, target *T) error {
	value, ok := raw[key]
	if !ok {
		return nil
	}
	typed, ok := value.(T)
	if !ok {
		return fmt.Errorf("runtime.options.%s: expected %s, got %v", key, expected, value)
	}
	*target = typed
	return nil
}

// environment are the variables by which the SDK learns the options.
func (o options) environment() []string {
	var env []string
	if o.typescript {
		env = append(env, "PULUMI_NODEJS_TYPESCRIPT=true")
	}
	if o.tsconfig != "" {
		env = append(env, "PULUMI_NODEJS_TSCONFIG_PATH="+o.tsconfig)
	}
	return env
}
