package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lookUpTime is how long the addresses of a name may be looked for.
const lookUpTime = 5 * time.Second

// SplitHost takes apart what a person types as a host's address: HOST or HOST:PORT, where HOST is a
// name or an IP address. The port of a text without one is given.
func SplitHost(text string, port uint16) (host string, _ uint16, err error) {
	host = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(text, ":") {
		return host, port, nil
	}
	host, number, err := net.SplitHostPort(text)
	if err != nil {
		return "", 0, fmt.Errorf("%q is neither a host nor HOST:PORT", text)
	}
	parsed, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not a port, which is a number from 1 to 65535", number)
	}
	return host, uint16(parsed), nil
}

// LookUp returns the addresses of a host, those of IPv4 first, and at least one if there is no
// error. It takes 5 s at most. The error is a sentence with advice.
func LookUp(ctx context.Context, resolver *net.Resolver, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	if host == "localhost" {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
	}
	limited, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	ips, err := resolver.LookupNetIP(limited, "ip", host)
	var dns *net.DNSError
	switch {
	case err == nil: // then there is one at least
	case ctx.Err() != nil:
		return nil, fmt.Errorf("interrupted before the address of %q was found", host)
	case errors.As(err, &dns) && dns.IsNotFound:
		return nil, fmt.Errorf("no address is known for the name %q: check the spelling, or give the IP address", host)
	case limited.Err() != nil || dns != nil && dns.IsTimeout:
		return nil, fmt.Errorf("no name server has answered for %q within %v: check the network, or give the IP address", host, lookUpTime)
	default:
		return nil, fmt.Errorf("the name %q cannot be looked up, give the IP address instead: %w", host, err)
	}
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	slices.SortStableFunc(ips, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	return ips, nil
}
