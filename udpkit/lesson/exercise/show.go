package exercise

import (
	"html/template"
	"io"
	"os"
	"sync/atomic"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// Show is something that is shown while it grows, in a notebook; as text, when it is complete.
type Show struct {
	name  string
	data  func() any
	plain func(out io.Writer, name string, data any) error
	live  *panel.Live
	now   atomic.Pointer[any] // what the drawing goroutine reads
}

// NewShow shows what data returns, by the page's template of that name, or as plain writes it. What data has returned must not
// change any more.
func NewShow(page *template.Template, name string, data func() any, plain func(io.Writer, string, any) error) *Show {
	s := &Show{name: name, data: data, plain: plain}
	s.keep()
	if gonbui.IsNotebook {
		s.live = panel.NewLive(func(bool) (*template.Template, any) { return page.Lookup(name), *s.now.Load() })
		s.live.News()
	}
	return s
}

func (s *Show) keep() {
	d := s.data()
	s.now.Store(&d)
}

// News has the data drawn as they are now.
func (s *Show) News() {
	s.keep()
	if s.live != nil {
		s.live.News()
	}
}

// End shows the data for the last time.
func (s *Show) End() error {
	s.keep()
	if s.live != nil {
		return s.live.End()
	}
	return s.plain(os.Stdout, s.name, *s.now.Load())
}
