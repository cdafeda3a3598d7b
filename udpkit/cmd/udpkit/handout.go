package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/lab"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

func handoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "handout DIR",
		Short:   "Write copies of the notebooks for students, without solutions and outputs",
		Example: "  udpkit handout ~/networks",
		Long: "Write copies of the notebooks to a directory outside of the checkout, which is made if need be: without solutions\n" +
			"and outputs, so that no run changes what git knows. A directory that holds something is refused, so that nobody's\n" +
			"answers are overwritten. Each exercise has a cell for the answer and one for the check, with the metadata by which\n" +
			"nbgrader knows them. \"udpkit grade\" reads what comes back.",
		Args: oneDirectory,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := lab.Handout(cmd.Context(), lab.Config{Stdout: panel.Output(cmd.Context(), progress)}, args[0])
			if err == nil {
				fmt.Fprintf(progress, "%d notebooks are in %s\n", n, args[0])
			}
			return err
		},
	}
}

// oneDirectory wants the name of a directory.
func oneDirectory(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError{errors.New("name one directory")}
	}
	return nil
}
