package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// address is a host and a port as they are typed: --address HOST --port PORT, or --address
// HOST:PORT.
type address struct {
	host string
	port uint16
	own  *pflag.Flag // --port; nil for none
}

// addFlags adds both. The host is what the help says of the address, the port what it says of that.
func (a *address) addFlags(cmd *cobra.Command, at string, port uint16, ofHost, ofPort string) {
	cmd.Flags().StringVar(&a.host, "address", at, ofHost)
	a.addPort(cmd, port, ofPort)
}

func (a *address) addPort(cmd *cobra.Command, port uint16, usage string) {
	cmd.Flags().Uint16Var(&a.port, "port", port, usage)
	a.own = cmd.Flags().Lookup("port")
}

// of a server that a client talks to.
func (a *address) ofServer(cmd *cobra.Command, protocol string, port uint16) {
	a.addFlags(cmd, "127.0.0.1", port, "the server's `address`, HOST or HOST:PORT; HOST is a name or an IP address", protocol+" `port` of the server")
}

// ofListener is for a server's own.
func (a *address) ofListener(cmd *cobra.Command, protocol, at string, port uint16) {
	a.addFlags(cmd, at, port, "`address` to listen on, HOST or HOST:PORT; 0.0.0.0 for all of this machine, :: for those of IPv6 too",
		protocol+" `port` to listen on (0: any free one, which is printed)")
}

// split takes the host and the port apart.
func (a address) split() (host string, port uint16, err error) {
	if host, port, err = udp.SplitHost(a.host, a.port); err != nil {
		return "", 0, usageError{err}
	}
	if a.own != nil && a.own.Changed && a.port != port {
		return "", 0, usageError{fmt.Errorf("the address %s has another port than --port %d", a.host, a.port)}
	}
	return host, port, nil
}

// listen returns the address of a server's own.
func (a address) listen(ctx context.Context) (netip.AddrPort, error) {
	host, port, err := a.split()
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip, err := lookUp(ctx, host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--address %q is not an IP address, and %w", host, err)
	}
	return netip.AddrPortFrom(ip, port), nil
}

// server returns the host and the port of a server.
func (a address) server() (host string, port uint16, err error) {
	host, port, err = a.split()
	switch {
	case err != nil:
	case host == "":
		err = usageError{errors.New("the host is missing")}
	case port == 0:
		err = usageError{errors.New("port 0 is no port of a server")}
	}
	return host, port, err
}

// resolve returns the address of a server.
func (a address) resolve(ctx context.Context) (netip.AddrPort, error) {
	host, port, err := a.server()
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip, err := lookUp(ctx, host)
	return netip.AddrPortFrom(ip, port), err
}

// parseTarget returns the address to send to that a text says, with port 0 if it has none.
func parseTarget(ctx context.Context, text string) (netip.AddrPort, error) {
	host, port, err := address{host: text}.split()
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip, err := lookUp(ctx, host)
	if err != nil {
		err = fmt.Errorf("target %q is not an IP address with or without a port, and %w", text, err)
	}
	return netip.AddrPortFrom(ip, port), err
}

// resolver is for tests to replace.
var resolver = net.DefaultResolver

// lookUp returns the address of a host: of a name the first IPv4 one, if there is any. All names
// that a person types are looked up here; that there is no address is an error of the command line.
func lookUp(ctx context.Context, host string) (netip.Addr, error) {
	ips, err := udp.LookUp(ctx, resolver, host)
	switch {
	case err == nil:
		return ips[0], nil
	case ctx.Err() != nil:
		return netip.Addr{}, err
	}
	return netip.Addr{}, usageError{err}
}

// warn tells on standard error, of what listens on all addresses, what those who reach it can do,
// and with which flag instead it is kept here.
func warn(ctx context.Context, listen netip.AddrPort, can, instead string) {
	if !listen.Addr().IsUnspecified() {
		return
	}
	if list := networks(listen.Addr()); len(list) > 0 {
		fmt.Fprintf(panel.Output(ctx, os.Stderr), "Whoever reaches this machine can %s, at %s. To keep it here: %s\n",
			can, strings.Join(list, ", "), instead)
	}
}

// networks lists the addresses, of the family of one, that others may reach this machine at.
func networks(like netip.Addr) (list []string) {
	all, _ := net.Interfaces()
	for _, nic := range all {
		addrs, err := nic.Addrs()
		if err != nil || nic.Flags&net.FlagUp == 0 || nic.Flags&net.FlagLoopback != 0 {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && (p.Addr().Is4() || like.Is6() && p.Addr().IsGlobalUnicast()) {
				list = append(list, fmt.Sprintf("%v (%s)", p, nic.Name))
			}
		}
	}
	return list
}
