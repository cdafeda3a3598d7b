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

// Wire has to be called first by a program that calls [Conversation] or [Weather]. It does nothing
// here.
func Wire() {}
