// Command udpkit runs the systems of this module from a terminal: broadcasting, echo, the beacon,
// the chat, the relay, the lab, which is JupyterLab with the notebooks, and a benchmark of the
// receivers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

func main() {
	ctx, _ := panel.Interrupt() // until the end: a signal that comes twice is no failure
	os.Exit(run(ctx, os.Args[1:]))
}

// usageError is what the caller typed wrongly.
type usageError struct{ error }

// Exit codes, as the help has them.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// stdout is where the commands print, and progress where they say how far they are; both are
// nowhere with --quiet.
var stdout, progress io.Writer = os.Stdout, os.Stderr

// run returns the exit code, which is decided here for all commands: by the error that a command
// returns.
func run(ctx context.Context, args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	ended, end := context.WithCancel(ctx)
	end()
	stderr := panel.Output(ended, os.Stderr) // it may be the pipe that nobody reads
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage), errors.Is(err, udpkit.ErrConfig): // the ErrConfig of all packages
		fmt.Fprintf(stderr, "%s: %s (see %s --help)\n", cmd.CommandPath(), sentence(err), cmd.CommandPath())
		return exitUsage
	default:
		fmt.Fprintf(stderr, "%s: %s\n", cmd.CommandPath(), sentence(err))
		return exitFailed
	}
}

// rootCommand returns udpkit with all its commands.
func rootCommand() *cobra.Command {
	quiet := false
	root := &cobra.Command{
		Use:   "udpkit",
		Short: "UDP networking that people can see",
		Long: "udpkit broadcasts a server's state over UDP and receives it in any number of clients, echoes, finds\n" +
			"neighbours, chats, relays what must not be lost, and starts JupyterLab with notebooks that show all of it.\n\n" +
			"Exit codes:\n" +
			"  0  what was asked was done; a command that runs until it is ended was ended\n" +
			"  1  it was not: it failed, nothing was answered or sent, or fewer messages came than were asked for\n" +
			"  2  the command line, or a variable, cannot be understood, or lacks something; nothing was begun\n\n" +
			"An environment variable sets a flag that is not given: UDPKIT_MAX_MESSAGES sets --max-messages. Those of the\n" +
			"lab are for its notebooks. A time is a number of seconds, or such as 1500ms, 2m or 1d.",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			err := settle(cmd)
			if quiet {
				stdout, progress = io.Discard, io.Discard
			}
			return err
		},
	}
	root.PersistentFlags().BoolVar(&quiet, "quiet", false, "print nothing but errors")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		serverCommand(),
		clientCommand(),
		labCommand(),
		classCommand(),
		handoutCommand(),
		gradeCommand(),
		benchCommand(),
		echoCommand(),
		responderCommand(),
		sendCommand(),
		beaconCommand(),
		chatCommand(),
		relayCommand(),
		controlCommand(),
		doctorCommand(),
		replayCommand(),
		decodeCommand(),
		timelineCommand(),
		dissectorCommand(),
		topCommand(),
		weatherCommand(),
		refereeCommand(),
		keyCommand(),
		healthCommand(),
		versionCommand(),
	)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Run, help.RunE = nil, helpOn
	}
	complete(root)
	return root
}

// sentence returns what an error says, once: a failure to write may be met by several that write.
func sentence(err error) string {
	var said []string
	for line := range strings.Lines(format.Reason(err)) {
		line = strings.TrimSuffix(line, "\n")
		if !slices.ContainsFunc(said, func(before string) bool { return strings.HasSuffix(before, line) }) {
			said = append(said, line)
		}
	}
	return strings.Join(said, "\n")
}

// noArguments refuses arguments, which may be a command that was typed wrongly.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasParent():
		return usageError{fmt.Errorf("unexpected argument %q%s", args[0], suggestion(cmd, args[0]))}
	}
	return usageError{fmt.Errorf("unknown command %q%s", args[0], suggestion(cmd, args[0]))}
}

// helpOn shows the help of the command that is named.
func helpOn(cmd *cobra.Command, names []string) error {
	found, rest, err := cmd.Root().Find(names)
	if err == nil {
		err = noArguments(found, rest)
	}
	if err != nil {
		return err
	}
	return found.Help()
}
