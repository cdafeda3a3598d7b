package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	cmd.Flags().Uint16Var(&a.port, "port", port, ofPort)
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
	host = strings.TrimSuffix(strings.TrimPrefix(a.host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(a.host, ":") {
		return host, a.port, nil
	}
	host, text, err := net.SplitHostPort(a.host)
	if err != nil {
		return "", 0, usageError{fmt.Errorf("%q is neither a host nor HOST:PORT", a.host)}
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, usageError{fmt.Errorf("%q is not a port, which is a number from 1 to 65535", text)}
	}
	if a.own != nil && a.own.Changed && a.port != uint16(number) {
		return "", 0, usageError{fmt.Errorf("the address %s has another port than --port %d", a.host, a.port)}
	}
	return host, uint16(number), nil
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

// resolve returns the address of a server.
func (a address) resolve(ctx context.Context) (netip.AddrPort, error) {
	host, port, err := a.split()
	switch {
	case err != nil:
		return netip.AddrPort{}, err
	case host == "":
		return netip.AddrPort{}, usageError{errors.New("the host is missing")}
	case port == 0:
		return netip.AddrPort{}, usageError{errors.New("port 0 is no port of a server")}
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

// lookUpTime is how long the address of a name may be looked for.
const lookUpTime = 5 * time.Second

// resolver is for tests to replace.
var resolver = net.DefaultResolver

// lookUp returns the address of a host: of a name the first IPv4 one, if there is any. All names
// that a person types are looked up here; that there is no address is an error of the command line.
func lookUp(ctx context.Context, host string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip, nil
	}
	if host == "localhost" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	limited, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	ips, err := resolver.LookupNetIP(limited, "ip", host)
	var dns *net.DNSError
	switch {
	case err == nil: // then there is one at least
	case ctx.Err() != nil:
		return netip.Addr{}, fmt.Errorf("interrupted before the address of %q was found", host)
	case errors.As(err, &dns) && dns.IsNotFound:
		err = fmt.Errorf("no address is known for the name %q: check the spelling, or give the IP address", host)
	case limited.Err() != nil || dns != nil && dns.IsTimeout:
		err = fmt.Errorf("no name server has answered for %q within %v: check the network, or give the IP address", host, lookUpTime)
	default:
		err = fmt.Errorf("the name %q cannot be looked up, give the IP address instead: %w", host, err)
	}
	if err != nil {
		return netip.Addr{}, usageError{err}
	}
	found := ips[0]
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			found = ip
			break
		}
	}
	return found.Unmap(), nil
}

// warn tells on standard error who can reach a server that listens on all addresses, and how to
// keep it here.
func warn(ctx context.Context, listen netip.AddrPort) {
	if !listen.Addr().IsUnspecified() {
		return
	}
	if list := networks(listen.Addr()); len(list) > 0 {
		fmt.Fprintf(panel.Output(ctx, os.Stderr), "Whoever reaches this machine can use the server, at %s. To keep it here: --address 127.0.0.1\n",
			strings.Join(list, ", "))
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
