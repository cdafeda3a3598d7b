package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print which build this is",
		Long:  "Print the version of the module, the commit if the build knows it, the version of Go, and the system.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(stdout, "udpkit", version())
			return err
		},
	}
}

// version describes this build, from what the Go command has written into it. Without the commit
// where it wrote none, as for "go run" and "go tool".
func version() string {
	module, commit := "(unknown)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		module = info.Main.Version
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if commit = settings["vcs.revision"]; commit != "" {
			commit = ", commit " + commit
			if settings["vcs.modified"] == "true" {
				commit += " with changes"
			}
		}
	}
	return fmt.Sprintf("%s%s, %s, %s/%s", module, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
