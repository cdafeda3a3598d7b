package panel_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// waysOut are gonbui's functions that put something on a page, and the types by
// which html/template is told not to escape.
var waysOut = regexp.MustCompile(`^(Display|Update)(HTML|Html|Markdown|SVG|Svg|Javascript|JavaScript)|^(SendData|ScriptJavascript|LoadScript.*)$|^(HTML|HTMLAttr|CSS|JS|JSStr|URL|Srcset)$`)

// TestOneWayToThePage: HTML reaches a notebook in one place, out of html/template,
// and pictures in one place, as PNG. A second place would need the same care.
func TestOneWayToThePage(t *testing.T) {
	var found []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, i := range file.Imports {
			require.NotContains(t, []string{`"text/template"`, `"github.com/janpfeifer/gonb/gonbui/dom"`}, i.Path.Value, path)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && waysOut.MatchString(s.Sel.Name) {
				found = append(found, filepath.ToSlash(path)+" "+s.Sel.Name)
			}
			return true
		})
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"live.go UpdateHTML", "plot/show.go SendData"}, found)
}

type notebookCell struct {
	Type   string   `json:"cell_type"`
	Source []string `json:"source"`
}

// cells reads a committed notebook.
func cells(t *testing.T, name string) []notebookCell {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "notebooks", name+".ipynb"))
	require.NoError(t, err)
	var notebook struct {
		Cells []notebookCell `json:"cells"`
	}
	require.NoError(t, json.Unmarshal(data, &notebook))
	return notebook.Cells
}

// TestNotebooksHoldNoHTML: the cells leave it to the packages.
func TestNotebooksHoldNoHTML(t *testing.T) {
	for _, name := range []string{"server", "client", "nonblocking", "concurrency"} {
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

// TestWalkthroughShape: prose leads, and code comes in small pieces.
func TestWalkthroughShape(t *testing.T) {
	for _, name := range []string{"nonblocking", "concurrency"} {
		t.Run(name, func(t *testing.T) { testShape(t, cells(t, name)) })
	}
}

func testShape(t *testing.T, all []notebookCell) {
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
	require.LessOrEqual(t, lengths[len(lengths)/2], 8, "the median cell")
}
