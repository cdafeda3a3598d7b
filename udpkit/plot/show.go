package plot

import (
	"errors"
	"fmt"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// Show shows a picture in the notebook, unless err says that there is none. A [chart.Nothing] is
// printed and is no error.
//
// The picture is a PNG: it is shown by a page that does not trust the notebook too, looks the same
// everywhere, fits into a narrow column, and cannot hold a program.
func Show(p chart.Picture, err error) error {
	if errors.As(err, new(chart.Nothing)) {
		fmt.Println(err)
		return nil
	}
	if err != nil {
		return err
	}
	if !gonbui.IsNotebook {
		return errors.New("there is no notebook to draw in")
	}
	image, err := png(p)
	if err != nil {
		return err
	}
	gonbui.SendData(&protocol.DisplayData{
		Data:     map[protocol.MIMEType]any{protocol.MIMEImagePNG: image, protocol.MIMETextPlain: short(p.Title, 300)},
		Metadata: map[string]any{string(protocol.MIMEImagePNG): map[string]int{"width": shownWidth}},
	})
	gonbui.Sync()
	return gonbui.Error()
}
