package exercise

import (
	_ "embed"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// ErrNoSource means that the program does not know where its source is, as when it was built with
// -trimpath or on another machine.
var ErrNoSource = errors.New("the source is not here; read it in the repository, in the directory udpkit")

//go:embed source.html
var sourceHTML string

var sourcePage = panel.Templates(sourceHTML, nil)

// Source is the source of a package that this program was built from, for this system and without
// tests.
type Source struct {
	Dir   string               // on this machine
	Files map[string]*ast.File // by name

	folder string // in the repository: "udpkit/relay"
	set    *token.FileSet
}

// SourceOf reads the source of the package that a function is in. The error is [ErrNoSource] or
// wraps it.
func SourceOf(function any) (Source, error) {
	entry := reflect.ValueOf(function).Pointer()
	f := runtime.FuncForPC(entry)
	name, _ := f.FileLine(entry)
	_, folder, _ := strings.Cut(f.Name(), "/udp-notebooks/")
	folder, _, _ = strings.Cut(folder, ".")
	s := Source{Dir: filepath.Dir(name), Files: make(map[string]*ast.File), folder: folder, set: token.NewFileSet()}
	entries, err := os.ReadDir(s.Dir)
	if err != nil || !filepath.IsAbs(s.Dir) {
		return Source{}, ErrNoSource
	}
	for _, entry := range entries {
		ours, err := build.Default.MatchFile(s.Dir, entry.Name())
		if err != nil || !ours || filepath.Ext(entry.Name()) != ".go" || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(s.set, filepath.Join(s.Dir, entry.Name()), nil, parser.ParseComments)
		if err != nil {
			return Source{}, fmt.Errorf("%w (%s cannot be read)", ErrNoSource, entry.Name())
		}
		s.Files[entry.Name()] = file
	}
	return s, nil
}

// Show shows functions as they are written there: "NewServer" for a function, "Server.write" for a
// method.
func (s Source) Show(names ...string) error {
	var parts []Excerpt
	for _, name := range names {
		e, err := s.Find(name)
		if err != nil {
			return err
		}
		parts = append(parts, e)
	}
	return NewShow(sourcePage.Lookup("source"), func(out io.Writer, _ any) error {
		for _, e := range parts {
			if _, err := fmt.Fprintf(out, "// %s/%s\n%s\n\n", e.Folder, e.File, e.Code); err != nil {
				return err
			}
		}
		return nil
	}, parts).End(parts)
}

// Find returns the source of one function, with its comment.
func (s Source) Find(name string) (Excerpt, error) {
	for file, parsed := range s.Files {
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || functionName(f) != name {
				continue
			}
			text, err := os.ReadFile(filepath.Join(s.Dir, file))
			if err != nil {
				return Excerpt{}, ErrNoSource
			}
			from := f.Pos()
			if f.Doc != nil {
				from = f.Doc.Pos()
			}
			code := string(text[s.set.Position(from).Offset:s.set.Position(f.End()).Offset])
			return Excerpt{s.folder, file, strings.ReplaceAll(code, "\t", "    ")}, nil
		}
	}
	return Excerpt{}, fmt.Errorf("package %s has no function %s", path.Base(s.folder), name)
}

// Excerpt is a function's source.
type Excerpt struct {
	Folder string // in the repository, with slashes: "udpkit/relay"
	File   string // without a directory
	Code   string
}

// Tokens returns the code in pieces, to be coloured.
func (e Excerpt) Tokens() []Piece {
	var pieces []Piece
	file := token.NewFileSet().AddFile("", -1, len(e.Code))
	var s scanner.Scanner
	s.Init(file, []byte(e.Code), nil, scanner.ScanComments)
	end := 0
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return append(pieces, Piece{Text: e.Code[end:]})
		}
		if tok == token.SEMICOLON && text != ";" {
			continue
		}
		at := file.Offset(pos)
		if text == "" {
			text = tok.String()
		}
		pieces = append(pieces, Piece{Text: e.Code[end:at]})
		kind := ""
		switch {
		case tok == token.COMMENT:
			kind = "comment"
		case tok.IsKeyword():
			kind = "keyword"
		case tok == token.STRING, tok == token.INT:
			kind = "literal"
		}
		pieces = append(pieces, Piece{text, kind})
		end = at + len(text)
	}
}

// Piece is a part of an [Excerpt].
type Piece struct {
	Text string
	Kind string // "comment", "keyword", "literal" or ""
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
