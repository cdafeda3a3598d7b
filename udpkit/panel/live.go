package panel

import (
	"errors"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/janpfeifer/gonb/gonbui"
)

const (
	// betweenUpdates bounds the updates to ten a second.
	betweenUpdates = 100 * time.Millisecond
	// lastUpdate is how long the last panel may take to reach the notebook. An interrupted cell is
	// killed after 5 s.
	lastUpdate = 2 * time.Second
)

// Live is one piece of a notebook's page that changes in place. A goroutine of its own draws: a
// browser that is slow, or gone, delays nothing. Its last state is what the notebook keeps.
type Live struct {
	id       string
	snapshot func(final bool) (*template.Template, any)

	dirty chan struct{} // holds one element if there is news
	last  chan struct{} // closed: draw the last state
	done  chan error
}

// NewLive returns a Live that shows what snapshot returns each time that there is News: a template
// and its data. snapshot is called by one goroutine at a time. End it.
func NewLive(snapshot func(final bool) (*template.Template, any)) *Live {
	l := &Live{
		id: gonbui.UniqueId(), snapshot: snapshot,
		dirty: make(chan struct{}, 1), last: make(chan struct{}), done: make(chan error, 1),
	}
	go l.loop()
	return l
}

// News asks for a new picture and does not wait for it.
func (l *Live) News() {
	select {
	case l.dirty <- struct{}{}:
	default:
	}
}

// loop draws whenever there is news, and the last picture.
func (l *Live) loop() {
	pause := time.NewTicker(betweenUpdates)
	defer pause.Stop()
	for {
		select {
		case <-l.last:
			err := show(l.id, l.snapshot, true)
			gonbui.Sync()
			l.done <- errors.Join(err, gonbui.Error())
			return
		case <-l.dirty:
		}
		if err := show(l.id, l.snapshot, false); err != nil {
			l.done <- err
			return
		}
		select {
		case <-l.last: // seen again above
		case <-pause.C:
		}
	}
}

// End draws the last picture, and returns the first error of all of them.
func (l *Live) End() error {
	close(l.last)
	timeout := time.NewTimer(lastUpdate)
	defer timeout.Stop()
	select {
	case err := <-l.done:
		return err
	case <-timeout.C:
		return fmt.Errorf("the notebook did not take the last panel within %v", lastUpdate)
	}
}

// show sends one picture. This is the only place from which HTML goes to the notebook, and it has
// come out of html/template.
func show(id string, snapshot func(final bool) (*template.Template, any), final bool) error {
	t, data := snapshot(final)
	var html strings.Builder
	if err := t.Execute(&html, data); err != nil {
		return fmt.Errorf("cannot draw the panel: %w", err)
	}
	gonbui.UpdateHTML(id, html.String())
	return gonbui.Error()
}
