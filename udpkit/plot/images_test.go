package plot_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot"
)

const notebooks = "../../notebooks"

var imageLink = regexp.MustCompile(`!\[([^\]]*)\]\(([^)]*)\)`)

// TestImages: every picture that a notebook shows is there and says in words what it shows, and
// every picture that is there is shown.
func TestImages(t *testing.T) {
	names, err := filepath.Glob(notebooks + "/*.ipynb")
	require.NoError(t, err)
	shown := make(map[string]bool)
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		var notebook struct {
			Cells []struct {
				Source []string `json:"source"`
			} `json:"cells"`
		}
		require.NoError(t, json.Unmarshal(data, &notebook))
		for _, c := range notebook.Cells {
			for _, link := range imageLink.FindAllStringSubmatch(strings.Join(c.Source, ""), -1) {
				require.FileExists(t, filepath.Join(notebooks, link[2]), name)
				require.Greater(t, len(link[1]), 80, "%s: the text in place of %s", name, link[2])
				shown[filepath.Base(link[2])] = true
			}
		}
	}
	images, err := filepath.Glob(notebooks + "/images/*.svg")
	require.NoError(t, err)
	require.NotEmpty(t, shown)
	require.Len(t, images, len(shown))
	for _, image := range images {
		require.True(t, shown[filepath.Base(image)], image)
		t.Run(filepath.Base(image), func(t *testing.T) { checkImage(t, image) })
	}
}

// checkImage: a picture has a title and a description, can do nothing but show something, brings
// its own light background, which suits a light and a dark page, and its texts can be read on that,
// in a notebook of 650 pixels.
func checkImage(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	decoder := xml.NewDecoder(strings.NewReader(string(data)))
	var width, size float64
	ink := "" // that texts have which have no colour of their own
	texts, shapes := 0, 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		has := make(map[string]string)
		for _, a := range e.Attr {
			has[a.Name.Local] = a.Value
		}
		switch e.Name.Local {
		case "svg":
			_, err := fmt.Sscanf(has["viewBox"], "0 0 %f", &width)
			require.NoError(t, err)
		case "title", "desc":
			var text string
			require.NoError(t, decoder.DecodeElement(&text, &e))
			require.NotEmpty(t, text)
			texts++
		case "g":
			require.Contains(t, has["font-family"], "sans-serif")
			size, err = strconv.ParseFloat(has["font-size"], 64)
			require.NoError(t, err)
			require.GreaterOrEqual(t, size*650/width, 11.0)
			ink = has["fill"]
		case "text":
			fill := has["fill"]
			if fill == "" {
				fill = ink
			}
			if has["transform"] == "" {
				var words string
				require.NoError(t, decoder.DecodeElement(&words, &e))
				require.Empty(t, has["font-size"], "all have the size of the picture")
				// DejaVu Sans and Verdana are up to 1.2 times as wide, and no usual font is wider.
				wide, left := 1.2*plot.Width(size, words), number(t, has["x"])
				switch has["text-anchor"] {
				case "middle":
					left -= wide / 2
				case "end":
					left -= wide
				}
				require.GreaterOrEqual(t, left, 2.0, words)
				require.LessOrEqual(t, left+wide, width-2, words)
			}
			// The darkest of the backgrounds, that of a roof.
			require.GreaterOrEqual(t, contrast(t, fill, "#eaeef2"), 4.5, "%s, %s", fill, has)
		default:
			require.Contains(t, []string{"rect", "line", "polyline", "polygon", "circle"}, e.Name.Local)
			if shapes++; shapes == 1 {
				require.Equal(t, []string{"rect", "#ffffff"}, []string{e.Name.Local, has["fill"]}, "the background")
			}
		}
	}
	require.Equal(t, 2, texts, "a title and a description")
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return f
}

// contrast is the ratio that WCAG 2 defines.
func contrast(t *testing.T, a, b string) float64 {
	luminance := func(css string) float64 {
		var c color.RGBA
		_, err := fmt.Sscanf(css, "#%02x%02x%02x", &c.R, &c.G, &c.B)
		require.NoError(t, err, css)
		linear := func(v uint8) float64 {
			x := float64(v) / 255
			if x <= 0.04045 {
				return x / 12.92
			}
			return math.Pow((x+0.055)/1.055, 2.4)
		}
		return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
	}
	low, high := luminance(a), luminance(b)
	if low > high {
		low, high = high, low
	}
	return (high + 0.05) / (low + 0.05)
}
