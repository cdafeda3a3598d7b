package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel/room"
)

func chatCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "Chat over TCP: a server, and clients of it",
		Long: "Chat over TCP: what one says goes to all others. netcat is a client too: nc ADDRESS 8000.\n" +
			"A line /name ann takes a name, /who asks who is here, exit leaves.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(chatServerCommand(), chatClientCommand())
	for _, c := range cmd.Commands() {
		c.Args = noArguments
	}
	return cmd
}

func chatServerCommand() *cobra.Command {
	var (
		cfg     chat.ServerConfig
		opt     = room.Options{In: os.Stdin}
		address string
		port    uint16
	)
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Relay messages between clients",
		Long:  "Relay messages between clients. What you type goes to all of them; exit ends the server.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			addr, err := netip.ParseAddr(address)
			if err != nil {
				return usageError{fmt.Errorf("--address %q is not an IP address of this machine", address)}
			}
			cfg.Listen = netip.AddrPortFrom(addr, port)
			return runRoom(cmd.Context(), cfg, opt, room.Server)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&address, "address", "0.0.0.0", "`IP` address to listen on; 0.0.0.0 for all of this machine, :: for those of IPv6 too")
	flags.IntVar(&cfg.MaxClients, "max-clients", 0, "how many clients may be connected at once (default 256)")
	addChatFlags(cmd, &port, &opt)
	return cmd
}

func chatClientCommand() *cobra.Command {
	var (
		cfg     chat.ClientConfig
		opt     = room.Options{In: os.Stdin}
		address string
		port    uint16
	)
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Take part in a chat",
		Long:  "Take part in a chat. What you type goes to all others; exit leaves.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if port == 0 {
				return usageError{errors.New("port 0 is no port of a server")}
			}
			if cfg.Name != "" {
				if err := chat.CheckName(cfg.Name); err != nil {
					return err
				}
			}
			addr, err := resolve(cmd.Context(), address)
			if err != nil {
				return err
			}
			cfg.Server = netip.AddrPortFrom(addr, port)
			return runRoom(cmd.Context(), cfg, opt, room.Client)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&address, "address", "127.0.0.1", "the server's `address`, or its name")
	flags.StringVar(&cfg.Name, "name", "", "the `name` that others see (default your address)")
	addChatFlags(cmd, &port, &opt)
	return cmd
}

func addChatFlags(cmd *cobra.Command, port *uint16, opt *room.Options) {
	cmd.Flags().Uint16Var(port, "port", chat.DefaultPort, "TCP `port` of the server")
	cmd.Flags().DurationVar(&opt.MaxRuntime, "max-runtime", 0, "end after this time (0: no limit)")
	cmd.Flags().BoolVar(&opt.JSON, "json", false, "print one JSON object a line")
}

// runRoom runs a role with the terminal's settings.
func runRoom[C any](ctx context.Context, cfg C, opt room.Options, run func(context.Context, C, room.Options) error) error {
	if opt.MaxRuntime < 0 {
		return usageError{errors.New("--max-runtime cannot be negative")}
	}
	opt.Out = os.Stdout
	return run(ctx, cfg, opt)
}

// resolve returns the IP address that a name stands for, an IPv4 one if there is.
func resolve(ctx context.Context, name string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("no address is known for %q: %w", name, err)
	}
	for _, a := range addrs {
		if a.Unmap().Is4() {
			return a.Unmap(), nil
		}
	}
	return addrs[0], nil
}
