//go:build !linux

package udp

import "net/netip"

type systemWriter struct{}

func (w *Writer) init() error { return nil }

func (w *Writer) flush(done func(netip.AddrPort, error)) {
	for i := range w.queue {
		w.one(i, done)
	}
}
