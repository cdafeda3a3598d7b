//go:build !linux

package experiment

import (
	"context"
	"fmt"
)

// onWire needs network namespaces.
func onWire(context.Context, job) (outcome, error) {
	return outcome{}, fmt.Errorf("%w: only Linux has network namespaces", ErrNoWire)
}
