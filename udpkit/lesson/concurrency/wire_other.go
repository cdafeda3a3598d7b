//go:build !linux

package concurrency

import (
	"context"
	"fmt"
)

// onWire needs network namespaces.
func onWire(context.Context, job) (outcome, error) {
	return outcome{}, fmt.Errorf("%w: only Linux has network namespaces", ErrNoWire)
}

// Wire is what a program calls first that calls [Conversation] or [Weather]. It does nothing here.
func Wire() {}
