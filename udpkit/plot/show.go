package plot

import (
	"encoding/base64"
	"errors"
	"fmt"
	"html"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// Show shows a picture in the notebook, unless err says that there is none. A [chart.Nothing] is
// printed and is no error.
//
// The picture is an SVG in an image: it follows the page's theme, says in words what is in it, is
// shown by a page that does not trust the notebook too, fits into a narrow column, and can run
// nothing.
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
	image, err := svg(p)
	if err != nil {
		return err
	}
	title := short(p.Title, 300)
	gonbui.SendData(&protocol.DisplayData{Data: map[protocol.MIMEType]any{
		protocol.MIMETextPlain: title,
		protocol.MIMETextHTML: fmt.Sprintf(`<img width="%d" alt="%s" src="data:image/svg+xml;base64,%s">`,
			shownWidth, html.EscapeString(title), base64.StdEncoding.EncodeToString(themed(image))),
	}})
	gonbui.Sync()
	return gonbui.Error()
}
