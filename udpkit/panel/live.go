package panel

import (
	"errors"
	"fmt"
	"html/template"
	"strings"
	"sync"
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
	Ended string // why, "" while it runs; for the template

	id       string
	template *template.Template

	mu   sync.Mutex // held while what is shown changes, or is read
	data func() any

	dirty chan struct{} // holds one element if there is news
	last  chan struct{} // closed: draw the last state
	done  chan error
}

// NewLive returns a Live that shows with the template what data returns, each time that there is
// News. Neither data nor the template runs while a Change does, so that data may return what Change
// changes. End it.
func NewLive(t *template.Template, data func() any) *Live {
	l := &Live{
		id: gonbui.UniqueId(), template: t, data: data,
		dirty: make(chan struct{}, 1), last: make(chan struct{}), done: make(chan error, 1),
	}
	go l.loop()
	return l
}

// Change has change alter what is shown, and asks for a new picture.
func (l *Live) Change(change func()) {
	l.mu.Lock()
	change()
	l.mu.Unlock()
	l.News()
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
			err := l.show()
			gonbui.Sync()
			l.done <- errors.Join(err, gonbui.Error())
			return
		case <-l.dirty:
		}
		if err := l.show(); err != nil {
			l.done <- err
			return
		}
		select {
		case <-l.last: // seen again above
		case <-pause.C:
		}
	}
}

// End draws the last picture, which may say why it is the last, and returns the first error of all
// of them.
func (l *Live) End(why string) error {
	l.Change(func() { l.Ended = why })
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
func (l *Live) show() error {
	var html strings.Builder
	l.mu.Lock()
	err := l.template.Execute(&html, l.data())
	l.mu.Unlock()
	if err != nil {
		return fmt.Errorf("cannot draw the panel: %w", err)
	}
	gonbui.UpdateHTML(l.id, html.String())
	return gonbui.Error()
}
