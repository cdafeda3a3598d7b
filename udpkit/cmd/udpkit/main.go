// Command udpkit runs the systems of this module from a terminal: broadcasting,
// echo, the beacon, the chat, the relay, the lab, which is JupyterLab with the
// notebooks, and a benchmark of the receivers.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

func main() {
	ctx, _ := panel.Interrupt() // until the end: a signal that comes twice is no failure
	os.Exit(run(ctx, os.Args[1:]))
}

// usageError is what the caller typed wrongly.
type usageError struct{ error }

// run returns the exit code: 0, 1 for a failure, 2 for bad arguments.
func run(ctx context.Context, args []string) int {
	root := &cobra.Command{
		Use:   "udpkit",
		Short: "UDP networking that people can see",
		Long: "udpkit broadcasts a server's state over UDP and receives it in any number of clients, echoes, finds\n" +
			"neighbours, chats, relays what must not be lost, and starts JupyterLab with notebooks that show all of it.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		serverCommand(),
		clientCommand(),
		labCommand(),
		benchCommand(),
		echoCommand(),
		responderCommand(),
		sendCommand(),
		beaconCommand(),
		chatCommand(),
		relayCommand(),
		versionCommand(),
	)
	for _, cmd := range root.Commands() {
		if cmd.Args == nil {
			cmd.Args = noArguments
		}
	}
	root.SetArgs(args)

	cmd, err := root.ExecuteContextC(ctx)
	ended, end := context.WithCancel(ctx)
	end()
	stderr := panel.Output(ended, 0, os.Stderr) // it may be the pipe that nobody reads
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage), errors.Is(err, udpkit.ErrConfig), cmd == root: // the ErrConfig of all packages
		fmt.Fprintf(stderr, "%s: %v (see %s --help)\n", cmd.CommandPath(), err, cmd.CommandPath())
		return 2
	default:
		fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), err)
		return 1
	}
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}
