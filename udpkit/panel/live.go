package panel

import (
	"errors"
	"fmt"
	"html/template"
	"strings"
	"sync"
	"time"

	_ "embed"

	"github.com/janpfeifer/gonb/gonbui"
)

const (
	// betweenUpdates bounds the updates to ten a second.
	betweenUpdates = 100 * time.Millisecond
	// lastUpdate is how long the last panel may take to reach the notebook. An interrupted cell is
	// killed after 5 s.
	lastUpdate = 2 * time.Second
	// heartbeat is the time after which a picture is drawn again though there is no news, so that a
	// page can tell a program that has nothing to say from one that is gone. See around.html.
	heartbeat = 3 * time.Second
)

// around is what is around each picture: what shows its age, but for the last, and what hides the
// list of what was typed below it.
//
//go:embed around.html
var aroundHTML string

var around = template.Must(template.New("around").Parse(aroundHTML))

// Live is one piece of a notebook's page that changes in place. A goroutine of its own draws: a
// browser that is slow, or gone, delays nothing. Its last state is what the notebook keeps. Until
// then it is dated: when its program is gone, or the page has lost it, the page itself has it fade
// after ten seconds, and says since when there is no news. That takes no script.
type Live struct {
	Ended string // why, "" while it runs; for the template
	Box   bool   // there is an input box below; set before there is any News, or in a Change

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

// Talks reports whether there is somebody who types.
func (l *Live) Talks() bool { return l.Box && l.Ended == "" }

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
	again := time.NewTimer(heartbeat)
	defer again.Stop()
	again.Stop() // until there is a picture
	for {
		select {
		case <-l.last:
		case <-l.dirty:
		case <-again.C:
		}
		last, err := l.show()
		if last {
			gonbui.Sync()
			err = errors.Join(err, gonbui.Error())
		}
		if last || err != nil {
			l.done <- err
			return
		}
		again.Reset(heartbeat)
		select {
		case <-l.last: // seen again above
		case <-pause.C:
		}
	}
}

// End draws the last picture, which may say why it is the last, and returns the first error of all
// of them.
func (l *Live) End(why string) error {
	l.mu.Lock()
	l.Ended = why
	close(l.last) // no picture has the reason and is not the last
	l.mu.Unlock()
	timeout := time.NewTimer(lastUpdate)
	defer timeout.Stop()
	select {
	case err := <-l.done:
		return err
	case <-timeout.C:
		return fmt.Errorf("the notebook did not take the last panel within %v", lastUpdate)
	}
}

// show sends one picture, and reports whether it is the last. This is the only place from which
// HTML goes to the notebook, and it has come out of html/template.
func (l *Live) show() (last bool, err error) {
	var html strings.Builder
	add := func(part string, wanted bool) error {
		if !wanted {
			return nil
		}
		return around.ExecuteTemplate(&html, part, time.Now().Format(time.TimeOnly))
	}
	l.mu.Lock()
	select {
	case <-l.last:
		last = true
	default:
	}
	err = errors.Join(add("typed", l.Box), add("before", !last), l.template.Execute(&html, l.data()), add("after", !last))
	l.mu.Unlock()
	if err != nil {
		return last, fmt.Errorf("cannot draw the panel: %w", err)
	}
	gonbui.UpdateHTML(l.id, html.String())
	return last, gonbui.Error()
}
