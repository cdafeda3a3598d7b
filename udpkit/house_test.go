package udpkit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
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
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok || !waysOut.MatchString(s.Sel.Name) {
				return true
			}
			if of, ok := s.X.(*ast.Ident); ok && (of.Name == "gonbui" || of.Name == "template") {
				found = append(found, filepath.ToSlash(path)+" "+s.Sel.Name)
			}
			return true
		})
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"panel/live.go UpdateHTML", "plot/show.go SendData"}, found)
}

// TestWhoImportsWhom holds the rooms apart. The standard library and golang.org/x are everybody's.
func TestWhoImportsWhom(t *testing.T) {
	const (
		module   = "github.com/gonb-labs/udp-notebooks/udpkit"
		small    = `internal/(format|lastly|measure|names|service|tcp|udp)`
		notebook = `github.com/janpfeifer/gonb/.*`
		kit      = `panel|plot/chart|internal/(console|stage)|` + notebook + `|` + small
		drawing  = `gonum.org/.*`
		nats     = `github.com/nats-io/.*`
	)
	rules := []struct{ who, may string }{ // the first whose name matches
		{`internal/console`, notebook + `|github.com/rivo/uniseg|` + small},
		{`internal/(paneltest|testenv)`, notebook + `|github.com/stretchr/testify/.*|go.uber.org/goleak`},
		{`internal/\w+|plot/chart`, ``},
		{`udpkit|echo|beacon|relay|chat`, small}, // light, and none of them needs another
		{`panel`, `internal/console|` + notebook + `|` + small},
		{`plot`, `plot/chart|` + notebook + `|` + drawing}, // knows no system, and nobody else pays for it
		{`broadcastpanel`, `udpkit|` + kit},
		{`(\w+)/\w+panel`, `$1|` + kit},
		{`lesson/exercise`, kit},
		{`lesson/\w+`, `udpkit|echo|beacon|lesson/exercise|` + kit},
		{`relay/store`, `relay|` + nats + `|` + small},
		{`relay/internal/logtest`, `relay|github.com/stretchr/testify/.*`},
		{`bench`, `udpkit|relay|relay/store|` + nats + `|` + small},
		{`lab`, `udpkit|` + small},
		{`cmd/udpkit`, `udpkit|echo|beacon|relay|chat|\w+panel|\w+/\w+panel|panel|relay/store|bench|lab|github.com/spf13/.*|` + small},
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}}{{range .Imports}} {{.}}{{end}}", "./...").CombinedOutput()
	require.NoError(t, err, string(out))
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(line)
		for i, name := range names {
			if names[i] = strings.TrimPrefix(name, module+"/"); name == module {
				names[i] = "udpkit"
			}
		}
		var may *regexp.Regexp
		for _, rule := range rules {
			who := regexp.MustCompile(`^(?:` + rule.who + `)$`)
			if m := who.FindStringSubmatchIndex(names[0]); m != nil {
				may = regexp.MustCompile(`^(?:` + string(who.ExpandString(nil, strings.ReplaceAll(rule.may, "$1", "${1}"), names[0], m)) + `)$`)
				break
			}
		}
		require.NotNil(t, may, "what may %s import?", names[0])
		for i, name := range names[1:] {
			first, _, _ := strings.Cut(name, "/")
			standard := !strings.Contains(first, ".") && name == strings.Fields(line)[i+1] || first == "golang.org"
			require.True(t, standard || may.MatchString(name), "%s imports %s", names[0], name)
		}
	}
}
