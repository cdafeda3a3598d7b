package lab

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// waysOut put something on a page that html/template has not seen: gonbui's functions, and the
// types by which it is told not to escape.
var waysOut = regexp.MustCompile(`^(Display|Update)(HTML|Html|Markdown|SVG|Svg|Javascript|JavaScript)|^(SendData|ScriptJavascript|LoadScript.*)$|^(HTML|HTMLAttr|CSS|JS|JSStr|URL|Srcset)$`)

type notebookCell struct {
	Type    string   `json:"cell_type"`
	Source  []string `json:"source"`
	Outputs []struct {
		Text []string `json:"text"`
		Data struct {
			HTML []string `json:"text/html"`
		} `json:"data"`
	} `json:"outputs"`
}

func readCells(t testing.TB, path string) []notebookCell {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var notebook struct {
		Cells []notebookCell `json:"cells"`
	}
	require.NoError(t, json.Unmarshal(data, &notebook))
	return notebook.Cells
}

// cells reads a committed notebook.
func cells(t *testing.T, name string) []notebookCell {
	t.Helper()
	return readCells(t, filepath.Join("..", "..", "notebooks", name+".ipynb"))
}

// TestNotebooksHoldNoHTML: the cells leave it to the packages.
func TestNotebooksHoldNoHTML(t *testing.T) {
	for _, name := range notebooks(t) {
		for _, c := range cells(t, name) {
			if c.Type != "code" {
				continue
			}
			require.LessOrEqual(t, len(c.Source), 25, "a cell says what, the package does how")
			for _, word := range regexp.MustCompile(`[A-Za-z]+`).FindAllString(strings.Join(c.Source, ""), -1) {
				require.NotRegexp(t, waysOut, word, name)
			}
		}
	}
}

// TestShape: in the notebooks that are read prose leads, and code comes in small pieces. Those of
// sockets, broadcast, chat and relay are larger: what they teach are the bare calls.
func TestShape(t *testing.T) {
	for name, median := range map[string]int{"nonblocking": 8, "concurrency": 8, "sockets": 18, "broadcast": 18, "chat": 21, "relay": 20} {
		t.Run(name, func(t *testing.T) {
			all := cells(t, name)
			require.GreaterOrEqual(t, len(all), 15)
			require.LessOrEqual(t, len(all), 30)
			var lengths []int
			row := 0
			for _, c := range all {
				if row++; c.Type != "code" {
					row = 0
					continue
				}
				require.LessOrEqual(t, row, 2, "code cells without prose between")
				lengths = append(lengths, len(c.Source))
			}
			slices.Sort(lengths)
			require.LessOrEqual(t, lengths[len(lengths)/2], median, "the median cell")
		})
	}
}

var (
	// untimed are the headings of what nobody needs minutes for: to look up, or to choose from.
	untimed  = regexp.MustCompile(`^(The words|How to read a cell|When to choose which|Questions|Try this with the real one|Further explorations|Where to go next)$`)
	heading  = regexp.MustCompile(`(?m)^## (.+)$`)
	minutes  = regexp.MustCompile(`\((?:[a-z]+, )?(\d+) minutes[,)]`)
	picture  = regexp.MustCompile(`!\[([^\]]*)\]\(images/[a-z0-9_]+\.svg\)`)
	question = regexp.MustCompile(`(?s)<details><summary>[^<]+(<code>[^<]+</code>[^<]*)*</summary>\n\n\S.*?</details>`)
)

// TestLessons: each begins with what one can do afterwards, says how long its parts take, together
// as long as the index says, without the last exercise, which is a whole program. Each has a text
// for each picture, exercises with hint and solution, and questions with answers.
func TestLessons(t *testing.T) {
	table := strings.Split(allText(cells(t, "index")), "\n")
	for _, name := range []string{"sockets", "broadcast", "nonblocking", "concurrency", "chat", "relay"} {
		t.Run(name, func(t *testing.T) {
			all := cells(t, name)
			require.Regexp(t, `(?s)^# .*(Afterwards you can)`, strings.Join(all[0].Source, ""))
			text := allText(all)
			sum, exercises := 0, 0
			for _, h := range heading.FindAllStringSubmatch(text, -1) {
				time := minutes.FindStringSubmatch(h[1])
				if untimed.MatchString(h[1]) {
					continue
				}
				require.NotNil(t, time, "%q says no minutes", h[1])
				if strings.HasPrefix(h[1], "Exercise ") {
					exercises++
				}
				if !strings.HasPrefix(h[1], "The last exercise ") {
					n, err := strconv.Atoi(time[1])
					require.NoError(t, err)
					sum += n
				}
			}
			row := slices.IndexFunc(table, func(line string) bool { return regexp.MustCompile(`^\| \d \| \[` + name + `\.ipynb`).MatchString(line) })
			require.GreaterOrEqual(t, row, 0, "a row of the index")
			require.Regexp(t, fmt.Sprintf(`\| %d\x{a0}min \|$`, sum), table[row])
			require.GreaterOrEqual(t, exercises, 2)
			require.GreaterOrEqual(t, strings.Count(text, "<summary>A hint</summary>"), exercises)
			require.Equal(t, exercises, strings.Count(text, "<summary>A solution</summary>"))
			require.Contains(t, text, "\ngo tool udpkit referee ")
			require.Equal(t, strings.Count(text, "]("+"images/"), len(picture.FindAllString(text, -1)))
			for _, p := range picture.FindAllStringSubmatch(text, -1) {
				require.Greater(t, len(p[1]), 60, "what is in the picture")
			}
			_, questions, ok := strings.Cut(text, "\n## Questions\n")
			require.True(t, ok)
			require.GreaterOrEqual(t, len(question.FindAllString(questions, -1)), 3, "questions with answers")
		})
	}
}

// allText is what is to be read of a notebook.
func allText(all []notebookCell) string {
	var b strings.Builder
	for _, c := range all {
		if c.Type == "markdown" {
			b.WriteString(strings.Join(c.Source, "") + "\n")
		}
	}
	return b.String()
}

// TestRoles: JupyterLab shows the last cell when all are run, so that the live one is the last, and
// short enough to leave the view to its panel. No other cell runs until somebody stops it, or
// writes into a log that others read, before it is told to.
func TestRoles(t *testing.T) {
	for _, name := range []string{"server", "client", "relay_server", "relay_writer", "relay_reader", "chat_server", "chat_client", "top", "weather"} {
		t.Run(name, func(t *testing.T) {
			all := cells(t, name)
			role := name[strings.LastIndex(name, "_")+1:]
			if name == "weather" {
				role = "forward" // the package has the name
			}
			row := 0
			for i, c := range all {
				source := strings.Join(c.Source, "")
				if row++; c.Type != "code" {
					row = 0
				}
				require.LessOrEqual(t, row, 2, "code cells without prose between")
				switch {
				case i == len(all)-1:
					require.Equal(t, "code", c.Type)
					require.Equal(t, "%%\npanel.Main("+role+")", source)
				case c.Type == "code" && regexp.MustCompile(`(?s)%%.*\brelaypanel\.(Server|Reader|Writer|Join)\b`).MatchString(source):
					require.Regexp(t, `(?s)if (\*many == 0|!\*join) \{.*return nil\n\t\}\n\treturn relaypanel\.`, source)
				}
			}
			require.Contains(t, strings.Join(all[len(all)-2].Source, ""), "## Run it\n")
		})
	}
}

// notebooks returns the names of the committed notebooks, without those that the lab made as copies
// of the client's.
func notebooks(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "notebooks", "*.ipynb"))
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".ipynb")
		if !regexp.MustCompile(`^client-[0-9]+$`).MatchString(name) {
			names = append(names, name)
		}
	}
	require.Contains(t, names, "sockets")
	return names
}

var notebookLink = regexp.MustCompile(`\]\(([^)#]*\.ipynb)[^)]*\)`)

// TestLinks: the index leads to every notebook, and every link between notebooks leads somewhere.
func TestLinks(t *testing.T) {
	all := notebooks(t)
	for _, name := range all {
		var linked []string
		for _, c := range cells(t, name) {
			for _, link := range notebookLink.FindAllStringSubmatch(strings.Join(c.Source, ""), -1) {
				require.NotContains(t, link[1], "/", "%s: the notebooks are in one folder", name)
				linked = append(linked, strings.TrimSuffix(link[1], ".ipynb"))
			}
		}
		for _, to := range linked {
			require.Contains(t, all, to, "a link of %s", name)
		}
		if name == "index" {
			for _, there := range all {
				if there != "index" {
					require.Contains(t, linked, there, "the index leads to it")
				}
			}
		}
	}
}

var (
	plotted = regexp.MustCompile(`data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)`)
	viewBox = regexp.MustCompile(`viewBox="0 0 (\d+) `)
	written = regexp.MustCompile(`<text ([^>]*)>`)
	upright = regexp.MustCompile(` y="[^-]`) // in a group that is turned: beside a vertical axis
	placed  = regexp.MustCompile(`^textLength="([\d.]+)" lengthAdjust="spacingAndGlyphs" x="([\d.]+)" y="[-\d.]+" transform="scale\(1, -1\)"`)
)

// TestPlotsFit: no text of a committed plot is cut off, whatever font the reader has.
func TestPlotsFit(t *testing.T) {
	number := func(text string) float64 {
		f, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err)
		return f
	}
	plots := 0
	for _, name := range notebooks(t) {
		data, err := os.ReadFile(filepath.Join("..", "..", "notebooks", name+".ipynb"))
		require.NoError(t, err)
		for _, image := range plotted.FindAllSubmatch(data, -1) {
			svg, err := base64.StdEncoding.DecodeString(string(image[1]))
			require.NoError(t, err)
			wide := number(string(viewBox.FindSubmatch(svg)[1]))
			for _, text := range written.FindAllSubmatch(svg, -1) {
				if upright.Match(text[1]) {
					continue
				}
				at := placed.FindSubmatch(text[1])
				require.NotNil(t, at, "%s: %s", name, text[1])
				require.LessOrEqual(t, number(string(at[2]))+number(string(at[1])), wide, "%s: %s", name, text[1])
			}
			plots++
		}
	}
	require.Greater(t, plots, 10)
}
