package lab

import (
	"io"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
)

// step shows a step that may take long and returns what to call at its end.
func step(w io.Writer, name string) (end func(error)) {
	p := console.NewProgress(w)
	p.Step(name, 0, 0)
	return func(err error) {
		p.Done(err)
		p.End()
	}
}
