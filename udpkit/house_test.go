package udpkit_test

import (
	"encoding/json"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

// waysOut are gonbui's functions that put something on a page, and the types by which html/template
// is told not to escape.
var waysOut = regexp.MustCompile(`^(Display|Update)(HTML|Html|Markdown|SVG|Svg|Javascript|JavaScript)|^(SendData|ScriptJavascript|LoadScript.*)$|^(HTML|HTMLAttr|CSS|JS|JSStr|URL|Srcset)$`)

// TestOneWayToThePage: HTML reaches a notebook in one place, out of html/template, and pictures in
// one place, as images. A second place would need the same care.
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
			name, _ := strconv.Unquote(i.Path.Value)
			require.NotContains(t, []string{"text/template", "github.com/janpfeifer/gonb/gonbui/dom"}, name, path)
			if name == "html/template" || name == "github.com/janpfeifer/gonb/gonbui" {
				require.Nil(t, i.Name, "%s: by its own name, for what follows", path)
			}
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
		small    = `key|internal/(format|lastly|later|measure|names|service|tcp|udp)`
		notebook = `github.com/janpfeifer/gonb/.*`
		kit      = `panel|plot/chart|record|internal/(console|stage)|` + notebook + `|` + small
		drawing  = `gonum.org/.*`
	)
	rules := []struct{ who, may string }{ // the first whose name matches
		{`internal/console`, notebook + `|github.com/rivo/uniseg|` + small},
		{`internal/(paneltest|testenv)`, notebook + `|key|github.com/stretchr/testify/.*|go.uber.org/goleak`},
		{`internal/stage`, `internal/console|record|` + notebook + `|` + small},
		{`internal/relaywire`, `internal/names`},
		{`record`, `github.com/gopacket/gopacket(/.*)?|` + small},
		{`sequence`, `dissect|record|panel|internal/(console|relaywire)|` + notebook + `|` + small},
		{`dissect`, `udpkit|beacon|internal/relaywire|` + small},
		{`key`, `internal/service`},
		{`key/keytls`, `key`}, // TLS is heavy: only who chats with a key pays for it
		{`internal/\w+|plot/chart`, ``},
		{`referee`, `udpkit|echo|beacon|chat|relay|weather|panel|record|sequence|internal/group|` + small}, // plays all systems
		{`relay`, `internal/relaywire|` + small},
		{`udpkit|echo|beacon|chat|doctor|weather`, small}, // light, and none of them needs another
		{`panel`, `internal/console|` + notebook + `|` + small},
		{`plot`, `plot/chart|` + notebook + `|` + drawing}, // knows no system, and nobody else pays for it
		{`broadcastpanel`, `udpkit|doctor|` + kit},         // the doctor is asked when nothing comes
		{`(\w+)/\w+panel`, `$1|` + kit},
		{`lesson/exercise`, `sequence|` + kit},
		{`lesson/relaying`, `relay|relay/store/sqlite|weather|lesson/exercise|sequence|` + kit},
		{`lesson/\w+`, `udpkit|echo|beacon|lesson/exercise|sequence|` + kit},
		{`relay/store`, ``},
		{`relay/store/jetstream`, `relay|github.com/nats-io/nats.go.*|` + small},
		{`relay/store/sqlite`, `relay|zombiezen.com/go/sqlite(/sqlitex)?|` + small},
		{`relay/internal/logtest`, `relay|github.com/stretchr/testify/.*`},
		{`bench`, `udpkit|relay|relay/store/sqlite|internal/relaywire|` + small},
		{`internal/gonb/edit`, `internal/gonb`},
		{`lab`, `udpkit|internal/(console|gonb|group)|` + small}, // long work is shown in one way
		{`cmd/udpkit`, `udpkit|echo|beacon|relay|chat|doctor|weather|\w+panel|\w+/\w+panel|panel|relay/store/(sqlite|jetstream)|bench|lab|record|referee|dissect|sequence|key/keytls|internal/console|github.com/spf13/.*|github.com/prometheus/client_golang/.*|` + small},
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

// unusedButKept are exported names that this module itself has no use for, by the reason why they
// stay.
var unusedButKept = map[string][]string{
	"a limit of what others can cause, for who runs it among strangers": {
		"udpkit/beacon Config.MaxPeers", "udpkit/chat ReaderConfig.MaxLine", "udpkit/chat ServerConfig.MaxPerAddress", "udpkit/chat ServerConfig.Queue",
		"udpkit/echo ResponderConfig.Limit", "udpkit/echo ServerConfig.Limit", "udpkit/relay ServerConfig.Cache", "udpkit/relay ServerConfig.MaxClients",
		"udpkit/relay ServerConfig.MaxPerAddress",
	},
	"a time that depends on the network and on who is at the other end": {
		"udpkit ClientConfig.Timeout", "udpkit/chat ClientConfig.DialTimeout", "udpkit/chat ClientConfig.LostTimeout", "udpkit/chat ClientConfig.Pause",
		"udpkit/chat ClientConfig.WriteTimeout", "udpkit/chat ReaderConfig.KeepPause", "udpkit/chat ReaderConfig.Pause", "udpkit/chat ServerConfig.IdleTimeout",
		"udpkit/chat ServerConfig.LostTimeout", "udpkit/chat ServerConfig.Pause", "udpkit/chat ServerConfig.WriteTimeout", "udpkit/relay ServerConfig.Expire",
	},
	"for a program that brings its own": {
		"udpkit/echo/echopanel Options.In", "udpkit/lab Config.CacheDir", "udpkit/lab Config.Ready",
		"udpkit/relay/store/jetstream Config.Credentials", "udpkit/relay/store/jetstream Config.Replicas",
	},
	"it names the zero value": {"udpkit/plot/chart NoSign"},
}

// TestExportedNamesAreUsed: what only tests use is no part of a package. A setting, which is a
// field of an exported struct whose name ends in Config or Options, is used by who sets it: code of
// another package. Cells of notebooks, pages and examples whose output is checked count as code.
func TestExportedNamesAreUsed(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports,
	}, "./...")
	require.NoError(t, err)
	used := make(map[types.Object]map[*types.Package]bool)
	var interfaces []*types.Interface
	for _, p := range pkgs {
		require.Empty(t, p.Errors)
		note := func(o types.Object) {
			if used[o] == nil {
				used[o] = make(map[*types.Package]bool)
			}
			used[o][p.Types] = true
		}
		for _, file := range p.Syntax {
			ast.Inspect(file, func(n ast.Node) bool {
				if d, ok := n.(*ast.FuncDecl); ok && d.Recv != nil {
					ast.Inspect(d.Type, noteUses(p, note))
					if d.Body != nil {
						ast.Inspect(d.Body, noteUses(p, note))
					}
					return false // the receiver is no use of the type
				}
				return noteUses(p, note)(n)
			})
		}
		for e, tv := range p.TypesInfo.Types {
			if i, ok := tv.Type.Underlying().(*types.Interface); ok && tv.IsType() && e.Pos().IsValid() {
				interfaces = append(interfaces, i)
			}
		}
	}
	words := wordsElsewhere(t)
	var unused []string
	for _, p := range pkgs {
		if strings.Contains(p.PkgPath, "/internal/") || p.Name == "main" {
			continue
		}
		report := func(o types.Object, name string, only bool) {
			by := used[o]
			if !o.Exported() || words[o.Name()] || len(by) > 0 && !only || len(by) > 1 || len(by) == 1 && !by[p.Types] {
				return
			}
			unused = append(unused, strings.TrimPrefix(p.PkgPath, "github.com/gonb-labs/udp-notebooks/")+" "+name)
		}
		scope := p.Types.Scope()
		for _, name := range scope.Names() {
			o := scope.Lookup(name)
			report(o, name, false)
			named, ok := o.Type().(*types.Named)
			if _, isType := o.(*types.TypeName); !ok || !isType || !o.Exported() {
				continue
			}
			for m := range named.Methods() {
				if !implements(named, m, interfaces) {
					report(m, name+"."+m.Name(), false)
				}
			}
			fields, ok := named.Underlying().(*types.Struct)
			for i := 0; ok && i < fields.NumFields(); i++ {
				if _, sent := reflect.StructTag(fields.Tag(i)).Lookup("json"); !sent { // else encoding/json uses it
					setting := strings.HasSuffix(name, "Config") || strings.HasSuffix(name, "Options")
					report(fields.Field(i), name+"."+fields.Field(i).Name(), setting)
				}
			}
		}
	}
	kept := slices.Concat(slices.Collect(maps.Values(unusedButKept))...)
	for _, name := range unused {
		assert.True(t, slices.Contains(kept, name), "only tests use %s: unexport it, or say why not", name)
	}
	for _, name := range kept {
		assert.True(t, slices.Contains(unused, name), "%s is used now, or gone", name)
	}
}

func noteUses(p *packages.Package, note func(types.Object)) func(ast.Node) bool {
	return func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		switch o := p.TypesInfo.Uses[id].(type) {
		case nil:
		case *types.Func:
			note(o.Origin())
		case *types.Var:
			note(o.Origin())
		default:
			note(o)
		}
		return true
	}
}

// implements reports whether a method of a type is one of an interface's that the type satisfies.
func implements(named *types.Named, m *types.Func, interfaces []*types.Interface) bool {
	switch m.Name() { // of the standard library, found by reflection
	case "String", "Error", "Unwrap", "Is", "MarshalText", "UnmarshalText", "MarshalJSON", "UnmarshalJSON":
		return true
	}
	return slices.ContainsFunc(interfaces, func(i *types.Interface) bool {
		o, _, _ := types.LookupFieldOrMethod(i, false, m.Pkg(), m.Name())
		return o != nil && (types.Implements(named, i) || types.Implements(types.NewPointer(named), i))
	})
}

// wordsElsewhere are the words in the cells of notebooks, in pages and in examples whose output is
// checked.
func wordsElsewhere(t *testing.T) map[string]bool {
	words := make(map[string]bool)
	word := regexp.MustCompile(`\w+`)
	take := func(text string) {
		for _, w := range word.FindAllString(text, -1) {
			words[w] = true
		}
	}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		switch {
		case strings.HasSuffix(path, ".html"):
			take(string(text))
		case strings.HasSuffix(path, ".ipynb"):
			var notebook struct {
				Cells []struct {
					CellType string   `json:"cell_type"`
					Source   []string `json:"source"`
				}
			}
			require.NoError(t, json.Unmarshal(text, &notebook), path)
			for _, cell := range notebook.Cells {
				if cell.CellType == "code" {
					take(strings.Join(cell.Source, ""))
				}
			}
		case strings.HasSuffix(path, "_test.go"):
			file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments)
			require.NoError(t, err)
			for _, e := range doc.Examples(file) {
				if e.Output != "" || e.EmptyOutput {
					ast.Inspect(e.Code, func(n ast.Node) bool {
						if id, ok := n.(*ast.Ident); ok {
							words[id.Name] = true
						}
						return true
					})
				}
			}
		}
		return err
	})
	require.NoError(t, err)
	return words
}

// TestCommentWidth: prose in comments is at most 100 columns wide, a tab counting 4. What is
// aligned, or printed by an example, is not prose.
func TestCommentWidth(t *testing.T) {
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		printed := false
		for line := range strings.Lines(string(text)) {
			comment, ok := strings.CutPrefix(strings.TrimLeft(line, "\t"), "// ")
			printed = ok && (printed || strings.HasPrefix(comment, "Output:"))
			if ok && !printed && !strings.HasPrefix(comment, " ") {
				width := utf8.RuneCountInString(strings.TrimRight(strings.ReplaceAll(line, "\t", "    "), "\n"))
				require.LessOrEqual(t, width, 100, "%s: %s", path, line)
			}
		}
		return nil
	}))
}

// TestPromisesHaveTests: those that the documentation names are there.
func TestPromisesHaveTests(t *testing.T) {
	test := regexp.MustCompile(`\bTest[A-Z]\w+`)
	there := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)`).FindAllStringSubmatch(string(text), -1) {
			there[m[1]] = true
		}
		return err
	})
	require.NoError(t, err)
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	named := test.FindAllString(string(text), -1)
	require.NotEmpty(t, named)
	for _, name := range named {
		assert.True(t, there[name], name)
	}
}
