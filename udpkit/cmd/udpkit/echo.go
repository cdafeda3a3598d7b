package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/echo/echopanel"
)

func echoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "echo",
		Short: "Return what comes, or send lines and show what comes back",
	}
	cmd.AddCommand(echoServerCommand(), echoClientCommand())
	return cmd
}

func echoServerCommand() *cobra.Command {
	var (
		at  address
		opt echopanel.Options

		measured metrics
	)
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Return each datagram to where it came from",
		Example: "  udpkit echo server" + "\n" +
			"  udpkit echo server --address 0.0.0.0:7000",
		RunE: func(cmd *cobra.Command, _ []string) error {
			listen, err := at.listen(cmd.Context())
			if err != nil {
				return err
			}
			opt.Out = stdout
			warn(cmd.Context(), listen, "use the server", "--address 127.0.0.1")
			if opt.Watch, err = measured.serve(cmd.Context()); err != nil {
				return err
			}
			return echopanel.Server(cmd.Context(), echo.ServerConfig{Listen: listen}, opt)
		},
	}
	at.ofListener(cmd, "UDP", "127.0.0.1", echo.DefaultPort)
	measured.add(cmd)
	addJSONFlag(cmd, &opt.JSON)
	addRecordFlag(cmd, &opt.Record)
	return cmd
}

func responderCommand() *cobra.Command {
	var (
		cfg  echo.ResponderConfig
		at   address
		mode string
		opt  echopanel.Options
	)
	cmd := &cobra.Command{
		Use:   "responder",
		Short: `Answer each datagram with "` + echo.Acknowledgement + `", one at a time or concurrently`,
		Example: "  udpkit responder --mode sequential --work 1s" + "\n" +
			"  udpkit responder --workers 4 --queue 16",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Mode, err = echo.ParseMode(mode); err != nil {
				return err
			}
			if cfg.Listen, err = at.listen(cmd.Context()); err != nil {
				return err
			}
			opt.Out = stdout
			warn(cmd.Context(), cfg.Listen, "use the server", "--address 127.0.0.1")
			return echopanel.Responder(cmd.Context(), cfg, opt)
		},
	}
	at.ofListener(cmd, "UDP", "127.0.0.1", echo.DefaultResponderPort)
	flags := cmd.Flags()
	flags.StringVar(&mode, "mode", string(echo.Concurrent), "`how` to work: sequential (one datagram at a time), concurrent")
	flags.IntVar(&cfg.Workers, "workers", echo.DefaultWorkers, "how many datagrams are worked on at once, if concurrent")
	flags.IntVar(&cfg.Queue, "queue", echo.DefaultQueue, "how many more may wait, if concurrent")
	flags.DurationVar(&cfg.Work, "work", 0, "how long each datagram takes (0: no time)")
	addJSONFlag(cmd, &opt.JSON)
	addRecordFlag(cmd, &opt.Record)
	completeWith(cmd, "mode", echo.Modes()...)
	return cmd
}

func echoClientCommand() *cobra.Command {
	var (
		cfg echo.ClientConfig
		at  address
		opt echopanel.Options
	)
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Send each line that you type and show what comes back; exit ends it",
		Example: "  udpkit echo client" + "\n" +
			"  udpkit echo client --address 192.0.2.7:7000 <lines.txt",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Server, err = at.resolve(cmd.Context()); err != nil {
				return err
			}
			return echopanel.Client(cmd.Context(), cfg, opt)
		},
	}
	at.ofServer(cmd, "UDP", echo.DefaultPort)
	cmd.Flags().DurationVar(&cfg.Timeout, "timeout", echo.DefaultTimeout, "how long to wait for each reply")
	addRecordFlag(cmd, &opt.Record)
	addJSONFlag(cmd, &opt.JSON)
	return cmd
}

func sendCommand() *cobra.Command {
	var (
		timeout time.Duration
		opt     echopanel.Options
	)
	cmd := &cobra.Command{
		Use:   "send HOST:PORT TEXT",
		Short: "Send one datagram and print the reply",
		Example: "  udpkit send 127.0.0.1:9999 \"Hello, Server!\"" + "\n" +
			"  udpkit send localhost:9999 hello --timeout 500ms",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{errors.New("two arguments are needed: where to send, HOST:PORT, and the text")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, _, err := net.SplitHostPort(args[0]); err != nil {
				return usageError{fmt.Errorf("%q is not HOST:PORT", args[0])}
			}
			to, err := address{host: args[0]}.resolve(cmd.Context())
			if err != nil {
				return err
			}
			if err = echopanel.Send(cmd.Context(), to, args[1], timeout, opt); err != nil && cmd.Context().Err() != nil {
				return errors.New("interrupted before a reply came")
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", echo.DefaultTimeout, "how long to wait for the reply")
	cmd.Flags().BoolVar(&opt.JSON, "json", false, "print one JSON object")
	return cmd
}
