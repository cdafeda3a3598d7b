// Package service is what the lives of all roles (servers, clients, beacons) have in common: each
// runs once, tells its events in order and counts those it had to drop, tells a failure when it
// begins and when it ends, and ends soon.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

var (
	// ErrConfig marks what a caller has set or given that cannot be used. It is the ErrConfig of
	// all packages.
	ErrConfig = errors.New("invalid configuration")
	// ErrRan is wrapped by the error of a second run.
	ErrRan = errors.New("has run already")
)

// Life is the one run of a role. Its methods are safe for concurrent use; the zero value has not
// begun.
type Life struct{ began atomic.Pointer[time.Time] }

// Begin begins the run and returns when that was. The second time it returns an error that names
// the role, and what to make for a new run.
func (l *Life) Begin(role, another string) (time.Time, error) {
	now := time.Now()
	if !l.began.CompareAndSwap(nil, &now) {
		return now, fmt.Errorf("the %s %w; a new run is a new %s", role, ErrRan, another)
	}
	return now, nil
}

// Time returns for how long the role has run, 0 before that.
func (l *Life) Time() time.Duration {
	if began := l.began.Load(); began != nil {
		return time.Since(*began)
	}
	return 0
}

// Close closes all. That one of them is closed already is no error.
func Close(all ...io.Closer) error {
	var errs []error
	for _, one := range all {
		if err := one.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// AddrOf returns an address of UDP or TCP; one of IPv4 is never in its IPv6-mapped form.
func AddrOf(a net.Addr) netip.AddrPort {
	addr := a.(interface{ AddrPort() netip.AddrPort }).AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// Limit ends ctx after a time; 0 means no limit.
func Limit(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	if after <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, after)
}
