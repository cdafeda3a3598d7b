package nonblocking

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// ErrNoSource means that the program does not know where udpkit's source is, as when it was built
// with -trimpath or on another machine.
var ErrNoSource = errors.New("the source of package udpkit is not here; read it in the repository, in the directory udpkit")

// Source shows functions of package udpkit as they are written there: "NewReceiver" for a function,
// "session.blocking" for a method. They are read from the files that this program was built from.
func Source(names ...string) error {
	var parts []excerpt
	for _, name := range names {
		e, err := find(name)
		if err != nil {
			return err
		}
		parts = append(parts, e)
	}
	return exercise.NewShow(page.Lookup("source"), plain, parts).End(parts)
}

// excerpt is a function's source.
type excerpt struct {
	File string // without a directory
	Code string
}

// Tokens returns the code in pieces, to be coloured.
func (e excerpt) Tokens() []piece {
	var pieces []piece
	file := token.NewFileSet().AddFile("", -1, len(e.Code))
	var s scanner.Scanner
	s.Init(file, []byte(e.Code), nil, scanner.ScanComments)
	end := 0
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return append(pieces, piece{Text: e.Code[end:]})
		}
		if tok == token.SEMICOLON && text != ";" {
			continue
		}
		at := file.Offset(pos)
		if text == "" {
			text = tok.String()
		}
		pieces = append(pieces, piece{Text: e.Code[end:at]})
		kind := ""
		switch {
		case tok == token.COMMENT:
			kind = "comment"
		case tok.IsKeyword():
			kind = "keyword"
		case tok == token.STRING, tok == token.INT:
			kind = "literal"
		}
		pieces = append(pieces, piece{text, kind})
		end = at + len(text)
	}
}

type piece struct{ Text, Kind string }

// files returns udpkit's files for this system, by name.
func files() (map[string]*ast.File, *token.FileSet, string, error) {
	entry := reflect.ValueOf(udpkit.NewReceiver).Pointer()
	name, _ := runtime.FuncForPC(entry).FileLine(entry)
	dir := filepath.Dir(name)
	entries, err := os.ReadDir(dir)
	if err != nil || !filepath.IsAbs(dir) {
		return nil, nil, "", ErrNoSource
	}
	set, found := token.NewFileSet(), make(map[string]*ast.File)
	for _, entry := range entries {
		ours, err := build.Default.MatchFile(dir, entry.Name())
		if err != nil || !ours || filepath.Ext(entry.Name()) != ".go" || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, filepath.Join(dir, entry.Name()), nil, parser.ParseComments)
		if err != nil {
			return nil, nil, "", fmt.Errorf("%w (%s cannot be read)", ErrNoSource, entry.Name())
		}
		found[entry.Name()] = file
	}
	return found, set, dir, nil
}

// find returns the source of one function, with its comment.
func find(name string) (excerpt, error) {
	all, set, dir, err := files()
	if err != nil {
		return excerpt{}, err
	}
	for file, parsed := range all {
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || functionName(f) != name {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				return excerpt{}, ErrNoSource
			}
			from := f.Pos()
			if f.Doc != nil {
				from = f.Doc.Pos()
			}
			code := string(text[set.Position(from).Offset:set.Position(f.End()).Offset])
			return excerpt{file, strings.ReplaceAll(code, "\t", "    ")}, nil
		}
	}
	return excerpt{}, fmt.Errorf("package udpkit has no function %s", name)
}

// functionName returns "function" or "type.method".
func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if name, ok := receiver.(*ast.Ident); ok {
		return name.Name + "." + f.Name.Name
	}
	return ""
}

// loops has the name of each style's loop.
var loops = map[udpkit.Style]string{
	udpkit.Blocking:      "session.blocking",
	udpkit.NonBlocking:   "session.nonBlocking",
	udpkit.SelectorStyle: "session.selecting",
	udpkit.Goroutine:     "session.goroutine",
	udpkit.Channel:       "session.channel",
}

// lines returns how many lines of code, without comments and blank lines, the loop of a style has,
// and how many the rest of its files for this system. Files belong to a style by name: selector.go,
// selector_linux.go.
func lines(style udpkit.Style) (loop, helpers int, err error) {
	all, _, dir, err := files()
	if err != nil {
		return 0, 0, err
	}
	own, err := find(loops[style])
	if err != nil {
		return 0, 0, err
	}
	loop = codeLines([]byte(own.Code))
	for name := range all {
		stem, _, _ := strings.Cut(strings.TrimSuffix(name, ".go"), "_")
		if stem != string(style) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return 0, 0, ErrNoSource
		}
		helpers += codeLines(text)
	}
	return loop, helpers - loop, nil
}

// codeLines counts the lines that hold a token.
func codeLines(text []byte) int {
	file := token.NewFileSet().AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	var seen []int
	for pos, tok, lit := s.Scan(); tok != token.EOF; pos, tok, lit = s.Scan() {
		if tok != token.SEMICOLON || lit == ";" {
			seen = append(seen, file.Line(pos))
		}
	}
	return len(slices.Compact(seen))
}
