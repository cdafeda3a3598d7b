package panel

import (
	"fmt"
	"html/template"
	"reflect"

	_ "embed"
)

//go:embed styles.html
var stylesHTML string

// Templates parses what a package shows with NewLive; it panics if that cannot be parsed. The
// styles that all panels have in common are defined in it: frame, faint, table, th, td, num, name,
// address, big, bad and tile. The function text is Printable; of a list, first has the first so
// many elements, and beyond how many more there are.
func Templates(html string, functions template.FuncMap) *template.Template {
	common := template.New("page").Funcs(template.FuncMap{
		"text": func(s any) string { return Printable(fmt.Sprint(s)) },
		"first": func(most int, list any) any {
			all := reflect.ValueOf(list)
			return all.Slice(0, min(most, all.Len())).Interface()
		},
		"beyond": func(most int, list any) int { return max(0, reflect.ValueOf(list).Len()-most) },
	})
	return template.Must(template.Must(common.Parse(stylesHTML)).Funcs(functions).Parse(html))
}
