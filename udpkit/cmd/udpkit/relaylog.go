package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

func relayBackupCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:     "backup FILE",
		Short:   "Copy a server's log to a file, while it runs or not",
		Example: "  udpkit relay backup monday.db",
		Long: "Copy a server's log to a file, as it is at this moment, while the server runs or not. The file must not exist. It is\n" +
			"an SQLite file, and a log again under the name relay.db in a directory of its own.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("the name of one file is needed, such as monday.db")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := logDirectory(data)
			if err != nil {
				return err
			}
			return sqlite.Backup(cmd.Context(), dir, args[0])
		},
	}
	addDataFlag(cmd, &data)
	return cmd
}

func relayLogCommand() *cobra.Command {
	var (
		data, writer string
		from         uint64
		asJSON       bool
	)
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Print the messages of a server's log, while it runs or not",
		Example: "  udpkit relay log" + "\n" +
			"  udpkit relay log --data ~/log --from 1000 --writer ann",
		Long: "Print the messages of a server's log, in their order, while the server runs or not. What is missing in\n" +
			"between, deleted or damaged, is said.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := logDirectory(data)
			if err != nil {
				return err
			}
			return printLog(cmd.Context(), stdout, dir, from, writer, asJSON)
		},
	}
	addDataFlag(cmd, &data)
	cmd.Flags().Uint64Var(&from, "from", 1, "begin with the message of this `number`")
	cmd.Flags().StringVar(&writer, "writer", "", "only messages of the writer with this `name`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func addDataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", "", fmt.Sprintf("`directory` of the log (default that of the server at port %d)", relay.DefaultPort))
}

// logDirectory returns the directory that is meant.
func logDirectory(data string) (string, error) {
	if data != "" {
		return data, nil
	}
	return defaultData(relay.DefaultPort)
}

// printLog prints messages, of one writer if that is not "", and which are missing between them.
func printLog(ctx context.Context, out io.Writer, dir string, from uint64, writer string, asJSON bool) error {
	lines := console.NewJSON(out)
	next := uint64(0)
	for m, err := range sqlite.Messages(ctx, dir, from) {
		if err == nil && next != 0 && m.Seq > next {
			if gap := (relay.GapEvent{From: next, To: m.Seq - 1}); asJSON {
				err = lines.Event(gap)
			} else {
				_, err = fmt.Fprintf(out, "#%d to #%d missing: %s deleted or damaged\n", gap.From, gap.To, format.Plural(gap.Messages(), "message"))
			}
		}
		next = m.Seq + 1
		if err == nil && cmp.Or(writer, m.Username) == m.Username {
			if asJSON {
				err = lines.Event(relay.MessageEvent{Message: m})
			} else {
				text := panel.Printable(strings.ReplaceAll(m.Text, "\t", " "))
				_, err = fmt.Fprintf(out, "%s %s  #%d  %s: %s\n", m.At.Local().Format("2006-01-02"), format.Clock(m.At), m.Seq, panel.Printable(m.Username), text)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
