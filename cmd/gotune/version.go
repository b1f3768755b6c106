package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"gotune/data/world"
	"gotune/internal/kernel"
	"gotune/train"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print version, arithmetic and CPU level",
		Example: "  gotune version",
		Args:    exactly(0, "no arguments"),
		Run: func(c *cobra.Command, _ []string) {
			version, _ := build()
			fmt.Fprintf(c.OutOrStdout(), "gotune %s, arithmetic %s, world %d, CPU level %s, %s %s/%s\n",
				version, train.Arithmetic(), world.Version, kernel.Active(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}

// build returns the version of the program and the commit of its source.
func build() (version, commit string) {
	version = "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	return version, commit
}
