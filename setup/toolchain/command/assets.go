package main

import (
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/gobwas/glob"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/archive"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/asset"
)

// collect fills out's assets and archive where the inputs name paths.
func collect(dir string, in ShellInputs, out *ShellOutputs) error {
	if in.AssetPaths != nil {
		files, err := matchingFiles(dir, *in.AssetPaths)
		if err != nil {
			return err
		}
		assets := make(map[string]types.AssetOrArchive, len(files))
		for name, file := range files {
			assets[name] = types.AssetOrArchive{Asset: file}
		}
		out.Assets = &assets
	}
	if in.ArchivePaths != nil {
		files, err := matchingFiles(dir, *in.ArchivePaths)
		if err != nil {
			return err
		}
		members := make(map[string]any, len(files))
		for name, file := range files {
			members[name] = file
		}
		collected, err := archive.FromAssets(members)
		if err != nil {
			return err
		}
		out.Archive = collected
	}
	return nil
}

// pattern is a glob over paths below the working directory; `!` in front takes matches out again.
type pattern struct {
	glob.Glob
	excludes bool
}

func parsePatterns(texts []string) ([]pattern, error) {
	patterns := make([]pattern, len(texts))
	for i, text := range texts {
		rest, excludes := strings.CutPrefix(text, "!")
		compiled, err := glob.Compile(rest, '/')
		if err != nil {
			return nil, err
		}
		patterns[i] = pattern{compiled, excludes}
	}
	return patterns, nil
}

// matches applies the patterns in their order; the last that fits decides.
func matches(patterns []pattern, name string) bool {
	included := false
	for _, p := range patterns {
		if p.Match(name) {
			included = !p.excludes
		}
	}
	return included
}

func matchingFiles(dir string, texts []string) (map[string]*resource.Asset, error) {
	patterns, err := parsePatterns(texts)
	if err != nil {
		return nil, err
	}
	found := map[string]*resource.Asset{}
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !matches(patterns, name) {
			return err
		}
		found[name], err = asset.FromPath(path.Join(dir, name))
		return err
	})
	return found, err
}
