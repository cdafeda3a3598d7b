package plot

import (
	"errors"
	"fmt"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel/experiment"
	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// Client shows in the notebook the journal that a client wrote to a file. See
// [ClientSVG].
func Client(file string) error { return show(clientPicture(file)) }

// Server shows in the notebook the journal that a server wrote to a file. See
// [ServerSVG].
func Server(file string) error { return show(serverPicture(file)) }

// Sequence shows in the notebook how a message and its acknowledgements travel.
func Sequence() error { return show(sequencePicture(), nil) }

// Waiting shows in the notebook what a program does while it waits.
func Waiting() error { return show(waitingPicture(), nil) }

// Runs shows in the notebook what lesson.Watch recorded. See [RunsSVG].
func Runs(file string) error { return show(runsPicture(file)) }

// Comparison shows in the notebook what lesson.Compare measured. See
// [ComparisonSVG].
func Comparison(file string) error { return show(comparisonPicture(file)) }

// Servers shows in the notebook what experiment.Servers measured. See [ServersSVG].
func Servers(file string) error { return show(serversPicture(file)) }

// Conversation shows in the notebook what experiment.Conversation captured. Where
// nothing could be, it says so and is no error. See [ConversationSVG].
func Conversation(file string) error {
	p, err := conversationPicture(file)
	if errors.Is(err, experiment.ErrNoWire) {
		fmt.Println(err)
		return nil
	}
	return show(p, err)
}

// Weather shows in the notebook what experiment.Weather measured. See [WeatherSVG].
func Weather(file string) error { return show(weatherPicture(file)) }

// show sends a picture to the notebook as a PNG: it is shown by a page that does
// not trust the notebook too, looks the same everywhere, fits into a narrow
// column, and cannot hold a program. Where nothing is recorded yet, it prints that.
func show(p picture, err error) error {
	if errors.Is(err, ErrEmpty) {
		fmt.Println(err) // and no failure, which would keep Run All from the cells below
		return nil
	}
	if err != nil {
		return err
	}
	if !gonbui.IsNotebook {
		return errors.New("there is no notebook to draw in; the functions that return SVG work anywhere")
	}
	png, err := p.png()
	if err != nil {
		return err
	}
	gonbui.SendData(&protocol.DisplayData{
		Data:     map[protocol.MIMEType]any{protocol.MIMEImagePNG: png},
		Metadata: map[string]any{string(protocol.MIMEImagePNG): map[string]int{"width": shownWidth}},
	})
	gonbui.Sync()
	return gonbui.Error()
}
