package exercise

import (
	"html/template"
	"io"
	"os"
	"sync/atomic"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// Show is something that is shown while it grows: in a notebook as a part of the page that changes
// in place, elsewhere as text once it is complete.
type Show struct {
	plain func(io.Writer, any) error
	live  *panel.Live
	now   atomic.Pointer[any] // what the drawing goroutine reads
}

// NewShow shows data: with the template t in a notebook, elsewhere by having plain write the last
// data to standard output. Nobody may change data that were handed over. The caller calls End.
func NewShow(t *template.Template, plain func(io.Writer, any) error, data any) *Show {
	s := &Show{plain: plain}
	s.now.Store(&data)
	if gonbui.IsNotebook {
		s.live = panel.NewLive(t, func() any { return *s.now.Load() })
		s.live.News()
	}
	return s
}

// News shows other data from now on, and does not wait until they are seen.
func (s *Show) News(data any) {
	s.now.Store(&data)
	if s.live != nil {
		s.live.News()
	}
}

// End shows the last data.
func (s *Show) End(data any) error {
	s.now.Store(&data)
	if s.live != nil {
		return s.live.End("")
	}
	return s.plain(os.Stdout, data)
}
